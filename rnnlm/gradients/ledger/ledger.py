"""The gradient by loss and time lag, a table called a ledger.

For the loss J(t) of one step, backpropagation through time visits the steps s = t, t-1, t-2, ... (s = t-k: lag k):

    delta1(t; t) = (delta2(t) U') o f'(z1(t))          delta1(t; s) = (delta1(t; s+1) H') o f'(z1(s))

    dJ(t)/dH |s = h(s-1)' delta1(t; s)                 dJ(t)/dI |s = e(s)' delta1(t; s)
    dJ(t)/db1|s = delta1(t; s)                         dJ(t)/de(s) = delta1(t; s) I'

The sum of these parts over t and s is the gradient that training uses, which is checked here against the training
kernels every time. A part of H or I is one column times one row, so its norm is the product of two norms and no
matrix is ever made for it. In a stack, the layer above sends delta1(t; s) I' down at every s.

All of it is computed in float64 from the kernels' hidden states. With one stream of T steps, L of them with a loss:
memory L x T x D_h numbers a layer, time T matrix products of L x D_h with D_h x D_h, and T^2 / 2 of D_h x D_h for the
Jacobians dh(t)/dh(t-k) (Pascanu, Mikolov & Bengio 2013).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import ResourceError
from rnnlm.gradients.ledger.jacobian import product_norms
from rnnlm.gradients.ledger.records import Kept, Lag, LayerLedger, Ledger
from rnnlm.gradients.window import Window
from rnnlm.network.network import Network, Trace
from rnnlm.network.parameters import B2, TABLE, U
from rnnlm.network.reference import equations
from rnnlm.training import memory
from rnnlm.work import Progress, Task

Array = NDArray[np.float64]

# What truncation must keep of the gradient's norm to count as enough.
ENOUGH = 0.99


@dataclass(frozen=True)
class _Layer:
    """One layer of a window of one stream: T x n arrays, and delta1[i, s] of loss i at step s (L x T x D_h)."""

    name: str
    I: Array
    H: Array
    e: Array
    h: Array
    before: Array
    delta1: Array


def ledger(
    network: Network, window: Window, tokens: tuple[tuple[str, ...], tuple[str, ...]], source: str
) -> Task[Ledger]:
    """The ledger of a window of one stream. Yields Progress, returns a Ledger.

    Args:
        tokens: the window's inputs and targets as text.
        source: the text's name.

    Raises:
        ResourceError: not enough memory for so long a window.
    """
    began = time.perf_counter()
    _check_memory(network, window)
    trace = network.forward(window.read)
    loss_steps = slice(window.steps - window.loss_steps, window.steps)
    layers, y_hat = _layers(network, window, loss_steps, trace)
    own = y_hat[np.arange(window.loss_steps), window.targets[loss_steps, 0]]
    _, kernels = network.backward(trace, window.targets, window.loss_steps)
    found = []
    for number, layer in enumerate(layers):
        yield Progress("ledger", number, len(layers), "layers")
        norms = product_norms(
            layer.H, layer.h, window.reset[:, 0], window.loss_steps, network.config.model.activation
        )
        whole = _whole(layer)
        trained = {name: kernels.dense[f"{layer.name}.{name}"] for name in ("H", "I", "b1")}
        agreement = {name: _difference(whole[name], trained[name]) for name in trained}
        if number == 0 and TABLE in kernels.rows:
            token_ids, rows = kernels.rows[TABLE]
            agreement["e"] = _difference(_by_token(whole["e"], window.inputs[:, 0], token_ids), rows)
        parts = _parts(layer, whole)
        found.append(
            LayerLedger(
                name=layer.name,
                norm=parts[0],
                share=parts[1],
                cosine=parts[2],
                jacobian=norms,
                whole={name: float(np.linalg.norm(value)) for name, value in whole.items()},
                agreement=agreement,
                lags=_lags(*parts, norms),
                rate=_rate(norms),
            )
        )
    kept = _kept(layers)
    yield Progress("ledger", len(layers), len(layers), "layers")
    return Ledger(
        source=source,
        activation=network.config.model.activation,
        start=window.start,
        inputs=tokens[0],
        targets=tokens[1],
        surprisal=tuple(float(value) for value in -np.log(own)),
        reach=_over(found[0].norm["e"], np.nansum(found[0].norm["e"], axis=1, keepdims=True)),
        layers=tuple(found),
        kept=kept,
        advice=advice(kept),
        bptt=network.config.train.bptt,
        hidden=network.config.model.hidden,
        precision=str(network.dtype),
        seconds=time.perf_counter() - began,
    )


def advice(kept: tuple[Kept, ...]) -> int:
    """The least number of steps from which on at least 99% of the norm is kept, and at most 101%."""
    enough = [abs(one.ratio - 1) <= 1 - ENOUGH for one in kept]
    return 1 + max((i + 1 for i, good in enumerate(enough) if not good), default=0)


def _check_memory(network: Network, window: Window) -> None:
    model = network.config.model
    need = 8 * window.loss_steps * window.steps * (sum(model.sizes) + 6) + 8 * window.steps * max(model.sizes) ** 2
    available = memory.available_memory()
    if available is not None and need > available:
        raise ResourceError(
            f"the ledger of {window.steps} steps with {window.loss_steps} losses takes {need / 1e9:.1f} GB, "
            f"{available / 1e9:.1f} GB are free; lower --steps or --losses"
        )


def _layers(network: Network, window: Window, loss_steps: slice, trace: Trace) -> tuple[list[_Layer], Array]:
    """Every layer with its delta1(t; s), and y^(t) of the losses."""
    activation = network.config.model.activation
    parameters = {name: value.astype(np.float64) for name, value in network.named.items()}
    hidden = [(h[:, 0].astype(np.float64), before[:, 0].astype(np.float64)) for h, before in trace.hidden()]
    weights = parameters[U] if U in parameters else parameters[TABLE].T
    y_hat = equations.softmax(equations.z2(hidden[-1][0][loss_steps], weights, parameters[B2]))
    y = np.zeros_like(y_hat)
    y[np.arange(len(y)), window.targets[loss_steps, 0]] = 1
    from_output = equations.dJ_dh_from_output(equations.delta2(y_hat, y), weights)

    layers = []
    e = parameters[TABLE][window.inputs[:, 0]]
    for number, (h, before) in enumerate(hidden):
        I, H = (parameters[f"cell.{number}.{name}"] for name in ("I", "H"))
        layers.append(_Layer(f"cell.{number}", I, H, e, h, before, np.zeros((len(y), window.steps, h.shape[1]))))
        e = h
    later = [np.zeros((len(y), layer.h.shape[1])) for layer in layers]  # delta1(t; s+1) H' of each loss t
    for s in range(window.steps - 1, -1, -1):
        from_above = np.zeros_like(from_output)
        if s >= loss_steps.start:
            from_above[s - loss_steps.start] = from_output[s - loss_steps.start]
        for number in range(len(layers) - 1, -1, -1):
            layer = layers[number]
            delta1 = equations.delta1(from_above + later[number], layer.h[s], activation)
            layer.delta1[:, s] = delta1
            # Where a line has ended before step s, step s did not see h(s-1): nothing goes back.
            later[number] = 0 * delta1 if window.reset[s, 0] else equations.dJ_dh_from_later(delta1, layer.H)
            from_above = equations.dJ_de(delta1, layer.I)
    return layers, y_hat


def _whole(layer: _Layer) -> dict[str, Array]:
    """The sum of all parts: dJ/dH, dJ/dI, dJ/db1, and dJ/de(s) for every s."""
    delta1 = layer.delta1.sum(axis=0)
    return {
        "H": equations.dJ_dweights(layer.before, delta1),
        "I": equations.dJ_dweights(layer.e, delta1),
        "b1": delta1.sum(axis=0),
        "e": equations.dJ_de(delta1, layer.I),
    }


def _parts(layer: _Layer, whole: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """Norm, share and cosine of every part, losses x lags."""
    losses, steps, _ = layer.delta1.shape
    size = np.linalg.norm(layer.delta1, axis=2)
    de = equations.dJ_de(layer.delta1, layer.I)
    # <left' delta1, whole> = <left whole, delta1>
    norms = {
        "H": size * np.linalg.norm(layer.before, axis=1),
        "I": size * np.linalg.norm(layer.e, axis=1),
        "b1": size,
        "e": np.linalg.norm(de, axis=2),
    }
    products = {
        "H": np.einsum("isj,sj->is", layer.delta1, layer.before @ whole["H"]),
        "I": np.einsum("isj,sj->is", layer.delta1, layer.e @ whole["I"]),
        "b1": layer.delta1 @ whole["b1"],
        "e": np.einsum("isj,sj->is", de, whole["e"]),
    }
    norm, share, cosine = {}, {}, {}
    for name in norms:
        all_of_it = float(np.linalg.norm(whole[name]))
        norm[name] = _by_lag(norms[name], losses, steps)
        share[name] = _by_lag(_over(products[name], all_of_it**2), losses, steps)
        cosine[name] = _by_lag(_over(products[name], norms[name] * all_of_it), losses, steps)
    return norm, share, cosine


def _lags(
    norm: dict[str, Array], share: dict[str, Array], cosine: dict[str, Array], jacobian: Array
) -> tuple[Lag, ...]:
    return tuple(
        Lag(
            lag=lag,
            norm={name: float(np.nanmean(value[:, lag])) for name, value in norm.items()},
            share={name: float(np.nansum(value[:, lag])) for name, value in share.items()},
            cosine={name: float(np.nanmean(value[:, lag])) for name, value in cosine.items()},
            jacobian=float(np.nanmean(jacobian[:, lag])),
            largest_jacobian=float(np.nanmax(jacobian[:, lag])),
        )
        for lag in range(jacobian.shape[1])
    )


def _rate(jacobian: Array) -> float | None:
    """The factor a step of the mean norm of dh(t)/dh(t-k), between lag 1 and the last lag where it is not zero."""
    means = np.nanmean(jacobian, axis=0)
    lags = [lag for lag in range(1, len(means)) if 0 < means[lag] < np.inf]
    if len(lags) < 2:
        return None
    first, last = lags[0], lags[-1]
    return float((means[last] / means[first]) ** (1 / (last - first)))


def _over(a: Array, b: Any) -> Array:
    """a / b, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(a), where=np.asarray(b) > 0)


def _by_lag(by_step: Array, losses: int, steps: int) -> Array:
    """[loss, step] turned into [loss, lag]; NaN before the window."""
    result = np.full((losses, steps), np.nan)
    for i in range(losses):
        t = steps - losses + i
        result[i, : t + 1] = by_step[i, t::-1]
    return result


def _kept(layers: list[_Layer]) -> tuple[Kept, ...]:
    """Truncation after 1, 2, ... T steps; norms and products over all layers, H, I, b1 and e together."""
    losses, steps, _ = layers[0].delta1.shape
    wholes = [_whole(layer) for layer in layers]
    so_far = [{name: np.zeros_like(value) for name, value in whole.items()} for whole in wholes]
    total = np.sqrt(sum(float((value**2).sum()) for whole in wholes for value in whole.values()))
    kept = []
    for lag in range(steps):
        i = np.arange(max(0, lag - (steps - losses)), losses)
        s = steps - losses + i - lag
        for layer, sums in zip(layers, so_far, strict=True):
            delta1 = layer.delta1[i, s]
            sums["H"] += equations.dJ_dweights(layer.before[s], delta1)
            sums["I"] += equations.dJ_dweights(layer.e[s], delta1)
            sums["b1"] += delta1.sum(axis=0)
            sums["e"][s] += equations.dJ_de(delta1, layer.I)
        square = product = missing = 0.0
        for sums, whole in zip(so_far, wholes, strict=True):
            for name, value in sums.items():
                square += float((value**2).sum())
                product += float((value * whole[name]).sum())
                missing += float(((value - whole[name]) ** 2).sum())
        norm = np.sqrt(square)
        if total == 0:
            kept.append(Kept(lag + 1, 1.0, 1.0, 0.0))
        else:
            cosine = product / (norm * total) if norm > 0 else 0.0
            kept.append(Kept(lag + 1, float(norm / total), float(cosine), float(np.sqrt(missing) / total)))
    return tuple(kept)


def _by_token(de: Array, inputs: NDArray[np.int32], tokens: NDArray[np.int32]) -> Array:
    """dJ/de(s) summed by token, one row for each of `tokens`."""
    rows = np.zeros((len(tokens), de.shape[1]))
    row_of = {int(token): row for row, token in enumerate(tokens)}
    for s, token in enumerate(inputs):
        rows[row_of[int(token)]] += de[s]
    return rows


def _difference(found: Array, trained: NDArray[np.floating]) -> float:
    size = float(np.linalg.norm(trained.astype(np.float64)))
    difference = float(np.linalg.norm(found - trained))
    return difference / size if size > 0 else difference
