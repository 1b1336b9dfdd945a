"""Reference of the output layers: log y^ of each, by its equations alone.

In plain NumPy: no kernel, no block, no thread.

    log_y_hat(layer, p, h, history) -> ... x |V| from h (... x D_h)

layer: the output layer, for its options; p: its parameters by name, with the embedding table as ``E`` where the
weights are tied; history: ... x n, the tokens before, where the layer asks for them. Complex numbers pass through, so
that a complex step can differentiate. The equations and where they are from stand at the top of each file of
``outputs``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.network.outputs import Adaptive, Classes, DirectSoftmax, Hierarchical, Mixture, Sampled, Softmax
from rnnlm.network.outputs.direct import contexts
from rnnlm.network.outputs.sampled import noise
from rnnlm.network.protocols import OutputLayer
from rnnlm.network.reference import equations

Array = NDArray[Any]
Arrays = dict[str, NDArray[Any]]


def softmax(layer: Softmax, p: Arrays, h: Array, history: Array | None) -> Array:
    return equations.log_softmax(_softmax_z2(p, h))


def log_normalizer(p: Arrays, h: Array) -> Array:
    """log Z of the full softmax, T x B."""
    z = _softmax_z2(p, h)
    return np.asarray((z - equations.log_softmax(z))[..., 0])


def _softmax_z2(p: Arrays, h: Array) -> Array:
    return equations.z2(h @ p["P"] if "P" in p else h, _U(p), p["b2"])


def direct(layer: DirectSoftmax, p: Arrays, h: Array, history: Array | None) -> Array:
    return equations.log_softmax(_z2_by_token(p, h) + _features(layer, p, history))


def _features(layer: DirectSoftmax, p: Arrays, history: Array | None) -> Array:
    """What direct connections add to z2."""
    assert history is not None
    begins = contexts.begins(history.reshape(-1, layer.history), layer.blocks).reshape(history.shape)
    places = (contexts.WIDTH * begins[..., None] + np.arange(layer.V)) % p["D"].size
    return np.asarray(np.where(begins[..., None] == contexts.NONE, 0, p["D"].reshape(-1)[places]).sum(axis=-2))


def mixture(layer: Mixture, p: Arrays, h: Array, history: Array | None) -> Array:
    log_pi = equations.log_softmax(h @ p["W"])
    parts = zip(np.split(p["P"], layer.softmaxes, axis=1), np.split(p["c"], layer.softmaxes), strict=True)
    log_q = [equations.log_softmax(equations.z2(np.tanh(h @ P + c), _U(p), p["b2"])) for P, c in parts]
    joint = np.stack([log_pi[..., k, None] + log_q[k] for k in range(layer.softmaxes)])
    top = joint.real.max(axis=0)
    return np.asarray(top + np.log(np.exp(joint - top).sum(axis=0)))


def adaptive(layer: Adaptive, p: Arrays, h: Array, history: Array | None) -> Array:
    U, *of_clusters = adaptive_matrices(p)
    log_a = equations.log_softmax(equations.z2(h @ p["P"] if "P" in p else h, U, p["b2"]))
    head = log_a.shape[-1] - len(of_clusters)
    parts = [log_a[..., :head]]
    for k, U_k in enumerate(of_clusters, 1):
        log_q = equations.log_softmax(equations.z2(h @ p[f"P_{k}"], U_k, p[f"b2_{k}"]))
        parts.append(log_a[..., head + k - 1, None] + log_q)
    return np.concatenate(parts, axis=-1)


def adaptive_matrices(p: Arrays) -> list[Array]:
    """U, U_1, U_2 ...: the head's and the clusters', some of them rows of the table where weights are tied."""
    clusters = sum(name.startswith("P_") for name in p)
    first = p["b2"].size - clusters
    found = [np.concatenate([p["E"][:first], p["E_c"]]).T if "E" in p else p["U"]]
    for k in range(1, clusters + 1):
        stop = first + p[f"b2_{k}"].size
        found.append(p[f"U_{k}"] if f"U_{k}" in p else p["E"][first:stop].T)
        first = stop
    return found


def sampled(layer: Sampled, p: Arrays, h: Array, history: Array | None) -> Array:
    return equations.log_softmax(_sampled_z2(layer, p, h, history))


def sampled_objective(
    layer: Sampled, p: Arrays, h: Array, targets: Array, draw: tuple[int, int], history: Array | None
) -> Array:
    drawn = noise.draw(np.cumsum(p["noise"]), layer.samples, *draw)
    z, log_noise = _sampled_z2(layer, p, h, history), np.log(layer.samples * p["noise"])
    own = np.take_along_axis(z, targets[..., None], axis=-1)
    if layer.objective == "nce":
        noise_terms = drawn.times * np.log1p(np.exp(z - log_noise)[..., drawn.tokens])
        return np.asarray(np.log1p(np.exp(-(own - log_noise[targets][..., None])))[..., 0] + noise_terms.sum(axis=-1))
    others = drawn.tokens != targets[..., None]
    weights = np.where(others, drawn.times / np.exp(log_noise)[drawn.tokens], 0)
    return np.asarray(np.log(1 + (weights * np.exp(z[..., drawn.tokens] - own)).sum(axis=-1)))


def _sampled_z2(layer: Sampled, p: Arrays, h: Array, history: Array | None) -> Array:
    z = _z2_by_token(p, h)
    return z + _features(layer.full, p, history) if isinstance(layer.full, DirectSoftmax) else z


def _z2_by_token(p: Arrays, h: Array) -> Array:
    """z2 with a row of U for each token."""
    U = p["E"] if "E" in p else p["U"]
    return equations.z2(h @ p["P"] if "P" in p else h, U.T, p["b2"])


def classes(layer: Classes, p: Arrays, h: Array, history: Array | None) -> Array:
    log_c, z = equations.log_softmax(equations.z2(h, p["U_c"], p["b_c"])), equations.z2(h, p["W"].T, p["b2"])
    log_y = np.empty_like(z + log_c[..., :1])
    for k in range(layer.C):
        own = p["class"] == k
        log_y[..., own] = log_c[..., k, None] + equations.log_softmax(z[..., own])
    return log_y


def hierarchical(layer: Hierarchical, p: Arrays, h: Array, history: Array | None) -> Array:
    z = equations.z2(h, p["W"].T, p["b"])
    # log s(z) of child 0, and log s(-z) = log s(z) - z of child 1.
    first = np.where(z.real > 0, -np.log1p(np.exp(-z)), z - np.log1p(np.exp(z)))
    sides = np.stack([first, first - z])
    log_y = np.empty((*z.shape[:-1], layer.V), z.dtype)
    for x, (start, stop) in enumerate(pairwise(p["starts"])):
        log_y[..., x] = sides[p["sides"][start:stop], ..., p["nodes"][start:stop]].sum(axis=0)
    return log_y


def _U(p: Arrays) -> Array:
    return p["E"].T if "E" in p else p["U"]


# By the output layer's class.
LOG_Y_HAT: dict[type, Callable[[Any, Arrays, Array, Array | None], Array]] = {
    Softmax: softmax,
    DirectSoftmax: direct,
    Adaptive: adaptive,
    Classes: classes,
    Hierarchical: hierarchical,
    Mixture: mixture,
    Sampled: sampled,
}

# J(t) of training (T x B) by the class of an output layer that is trained by something else than - log y^; `draw` as
# of ``protocols.Objective``.
OBJECTIVES: dict[type, Callable[[Any, Arrays, Array, Array, tuple[int, int], Array | None], Array]] = {
    Sampled: sampled_objective
}


def log_y_hat(layer: OutputLayer[Any], p: Arrays, h: Array, history: Array | None) -> Array:
    """log y^ of any layer that has a reference: T x B x |V| from h (T x B x D_h); history: T x B x n."""
    return LOG_Y_HAT[type(layer)](layer, p, h, history)
