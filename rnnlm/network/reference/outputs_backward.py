"""Backward reference of the output layers: dJ(t)/dh(t) of J(t) = - log y^_x(t), by the equations alone.

In plain NumPy: no kernel, no block, no thread.

    dJ_dh(layer, p, h, targets, history) -> N x D_h

layer: the output layer, for its options; p: its parameters by name, with its tables and, where the weights are tied,
the embedding table as ``E``; h: N x D_h; targets: N; history: N x n, the tokens before, where the layer asks for
them. The equations and where they are from stand at the top of each file of ``outputs``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.network.outputs import Adaptive, Classes, DirectSoftmax, Hierarchical, Mixture, Sampled, Softmax
from rnnlm.network.reference import equations, outputs

Array = NDArray[Any]
Arrays = dict[str, NDArray[Any]]
Targets = NDArray[np.integer[Any]]


def softmax(layer: Softmax, p: Arrays, h: Array, targets: Targets, history: Array | None) -> Array:
    return _one_softmax(layer, p, h, targets, history, p["E"].T if "E" in p else p["U"])


def by_token(layer: DirectSoftmax | Sampled, p: Arrays, h: Array, targets: Targets, history: Array | None) -> Array:
    """U has a row a token; what direct connections add to z2 does not come from h."""
    return _one_softmax(layer, p, h, targets, history, (p["E"] if "E" in p else p["U"]).T)


def mixture(layer: Mixture, p: Arrays, h: Array, targets: Targets, history: Array | None) -> Array:
    U = p["E"].T if "E" in p else p["U"]
    pi = equations.softmax(h @ p["W"])
    parts = list(zip(np.split(p["P"], layer.softmaxes, axis=1), np.split(p["c"], layer.softmaxes), strict=True))
    g = [np.tanh(h @ P + c) for P, c in parts]
    log_q = [equations.log_softmax(equations.z2(g_k, U, p["b2"])) for g_k in g]
    # r_k = pi_k q_k,x / y^_x
    log_own = np.stack([log_q_k[np.arange(len(h)), targets] for log_q_k in log_q], axis=1)
    r = equations.softmax(equations.log_softmax(h @ p["W"]) + log_own)
    dh = (pi - r) @ p["W"].T
    for k, (P, _) in enumerate(parts):
        dz = r[:, k, None] * _delta2(np.exp(log_q[k]), targets)
        dh += ((dz @ U.T) * (1 - g[k] * g[k])) @ P.T
    return np.asarray(dh)


def adaptive(layer: Adaptive, p: Arrays, h: Array, targets: Targets, history: Array | None) -> Array:
    U, *of_clusters = outputs.adaptive_matrices(p)
    head = p["b2"].size - len(of_clusters)
    first = head  # the first token of cluster k
    of_head, dh = targets.copy(), np.zeros_like(h)
    for k, U_k in enumerate(of_clusters, 1):
        P, b2 = p[f"P_{k}"], p[f"b2_{k}"]
        own = (first <= targets) & (targets < first + b2.size)
        of_head[own] = head + k - 1
        dh[own] = _through(h[own] @ P, U_k, b2, targets[own] - first) @ P.T
        first += b2.size
    if "P" not in p:
        return dh + _through(h, U, p["b2"], of_head)
    return np.asarray(dh + _through(h @ p["P"], U, p["b2"], of_head) @ p["P"].T)


def classes(layer: Classes, p: Arrays, h: Array, targets: Targets, history: Array | None) -> Array:
    own_class = p["class"][targets]
    dh = _through(h, p["U_c"], p["b_c"], own_class)
    for k in np.unique(own_class):
        rows, members = own_class == k, np.flatnonzero(p["class"] == k)
        place = np.searchsorted(members, targets[rows])
        dh[rows] += _through(h[rows], p["W"][members].T, p["b2"][members], place)
    return dh


def hierarchical(layer: Hierarchical, p: Arrays, h: Array, targets: Targets, history: Array | None) -> Array:
    dh = np.zeros_like(h)
    for row, x in enumerate(targets):
        path = slice(p["starts"][x], p["starts"][x + 1])
        nodes, d = p["nodes"][path], p["sides"][path]
        z = h[row] @ p["W"][nodes].T + p["b"][nodes]
        dh[row] = (equations.f(z, "sigmoid") - (1 - d)) @ p["W"][nodes]
    return dh


def _one_softmax(
    layer: Softmax | DirectSoftmax | Sampled, p: Arrays, h: Array, targets: Targets, history: Array | None, U: Array
) -> Array:
    """delta2 U', and P' behind it where h is projected: z2 = h P U + b2 + ..."""
    y_hat = np.exp(outputs.log_y_hat(layer, p, h, history))
    dh = equations.dJ_dh_from_output(_delta2(y_hat, targets), U)
    return np.asarray(dh @ p["P"].T) if "P" in p else dh


def _through(h: Array, U: Array, b2: Array, targets: Targets) -> Array:
    """delta2 U' of a softmax."""
    return equations.dJ_dh_from_output(_delta2(equations.softmax(equations.z2(h, U, b2)), targets), U)


def _delta2(y_hat: Array, targets: Targets) -> Array:
    y = np.zeros_like(y_hat)
    y[np.arange(len(y)), targets] = 1
    return equations.delta2(y_hat, y)


# By the output layer's class.
DJ_DH: dict[type, Callable[[Any, Arrays, Array, Targets, Array | None], Array]] = {
    Softmax: softmax,
    DirectSoftmax: by_token,
    Adaptive: adaptive,
    Classes: classes,
    Hierarchical: hierarchical,
    Mixture: mixture,
    Sampled: by_token,
}
