"""The gradient by loss and time lag, a table called a ledger.

For the loss J(t) of one step, backpropagation through time visits the steps s = t, t-1, t-2, ... (s = t-k: lag k). Of
an Elman network:

    delta1(t; t) = (delta2(t) U') o f'(z1(t))          delta1(t; s) = (delta1(t; s+1) H') o f'(z1(s))

    dJ(t)/dH |s = h(s-1)' delta1(t; s)                 dJ(t)/dI |s = e(s)' delta1(t; s)
    dJ(t)/db1|s = delta1(t; s)                         dJ(t)/de(s) = delta1(t; s) I'

The other cells' equations are in ``network.reference.cells_backward``; every gate has such parts of its own. The sum
of these parts over t and s is the gradient that training uses, which is checked here against the training kernels
every time. A part of H or I is one column times one row, so its norm is the product of two norms and no
matrix is ever made for it. In a stack, the layer above sends delta1(t; s) I' down at every s.

All of it is computed in float64 from the kernels' states. With one stream of T steps, L of them with a loss, and
states of S numbers: memory up to 4 L T S numbers a layer, time T matrix products of L rows, and L T / 2 of S x S for
the Jacobians dh(t)/dh(t-k) (Pascanu, Mikolov & Bengio 2013).
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import ResourceError
from rnnlm.gradients.ledger import jacobian, parts
from rnnlm.gradients.ledger.parts import INPUT, Parts
from rnnlm.gradients.ledger.records import Carried, Kept, Lag, LayerLedger, Ledger
from rnnlm.gradients.ledger.walk import Layer, check, walk
from rnnlm.gradients.window import Window
from rnnlm.network.network import Network
from rnnlm.network.parameters import TABLE, Gradients
from rnnlm.training import memory
from rnnlm.work import Progress, Task

Array = NDArray[np.float64]

# What truncation must keep of the gradient's norm to count as enough.
ENOUGH = 0.99


def ledger(
    network: Network, window: Window, tokens: tuple[tuple[str, ...], tuple[str, ...]], source: str
) -> Task[Ledger]:
    """The ledger of a window of one stream. Yields Progress, returns a Ledger.

    Args:
        tokens: the window's inputs and targets as text.
        source: the text's name.

    Raises:
        InputError: a layer that the reference does not have; ResourceError: not enough memory for so long a window.
    """
    began = time.perf_counter()
    check(network)
    _check_memory(network, window)
    trace = network.forward(window.read)
    layers, surprisal = walk(network, window, trace)
    _, kernels = network.backward(trace, window.targets, window.loss_steps)
    found = []
    for layer in layers:
        yield Progress("ledger", layer.number, len(layers), "layers")
        found.append(_layer(layer, window, kernels))
    kept = parts.kept(layers)
    yield Progress("ledger", len(layers), len(layers), "layers")
    model = network.config.model
    reached = found[0].norm[INPUT]
    return Ledger(
        source=source,
        cell=model.cell.type,
        activation=model.activation if model.cell.type == "elman" else None,
        start=window.start,
        inputs=tokens[0],
        targets=tokens[1],
        surprisal=tuple(float(value) for value in surprisal),
        reach=parts.over(reached, np.nansum(reached, axis=1, keepdims=True)),
        layers=tuple(found),
        kept=kept,
        advice=advice(kept),
        bptt=network.config.train.bptt,
        hidden=model.hidden,
        precision=str(network.dtype),
        seconds=time.perf_counter() - began,
    )


def advice(kept: tuple[Kept, ...]) -> int:
    """The least number of steps from which on at least 99% of the norm is kept, and at most 101%."""
    enough = [abs(one.ratio - 1) <= 1 - ENOUGH for one in kept]
    return 1 + max((i + 1 for i, good in enumerate(enough) if not good), default=0)


def _check_memory(network: Network, window: Window) -> None:
    by_loss = sum(4 * cell.state_size + cell.d for cell in network.cells)
    squares = (window.steps + 3) * max(cell.state_size for cell in network.cells) ** 2
    need = 8 * (window.loss_steps * window.steps * by_loss + squares)
    available = memory.available_memory()
    if available is not None and need > available:
        raise ResourceError(
            f"the ledger of {window.steps} steps with {window.loss_steps} losses takes {need / 1e9:.1f} GB, "
            f"{available / 1e9:.1f} GB are free; lower --steps or --losses"
        )


def _layer(layer: Layer, window: Window, kernels: Gradients) -> LayerLedger:
    norms = jacobian.norms(layer, window.loss_steps)
    carried = _carried(layer, window.loss_steps)
    wholes = parts.whole(layer)
    found = parts.parts(layer, wholes)
    up, *others = norms
    return LayerLedger(
        name=layer.name,
        norm=found.norm,
        share=found.share,
        cosine=found.cosine,
        jacobian=norms[up],
        whole=found.whole,
        agreement=_agreement(layer, wholes, window, kernels),
        lags=_lags(found, norms[up], {name: norms[name] for name in others}, carried),
        rate=_rate(norms[up]),
        gates=parts.gates(layer),
        jacobians={name: norms[name] for name in others},
        rates={name: _rate(norms[name]) for name in others},
        carried=carried,
    )


def _carried(layer: Layer, losses: int) -> Carried | None:
    found = jacobian.carried(layer, losses)
    if found is None or layer.reference.carried is None:
        return None
    return Carried(*layer.reference.carried, *found)


def _agreement(layer: Layer, wholes: dict[str, Array], window: Window, kernels: Gradients) -> dict[str, float]:
    """How far the sum of the parts is from the kernels' gradient, relative to its norm, by parameter."""
    sums = parts.by_parameter(layer, wholes)
    found = {name: _difference(sums[name], kernels.dense[layer.flat_name(name)]) for name in sums}
    if layer.number == 0 and TABLE in kernels.rows:
        token_ids, rows = kernels.rows[TABLE]
        found[INPUT] = _difference(_by_token(wholes[INPUT], window.inputs[:, 0], token_ids), rows)
    return found


def _lags(found: Parts, h: Array, others: dict[str, Array], carried: Carried | None) -> tuple[Lag, ...]:
    return tuple(
        Lag(
            lag=lag,
            norm={name: float(np.nanmean(value[:, lag])) for name, value in found.norm.items()},
            share={name: float(np.nansum(value[:, lag])) for name, value in found.share.items()},
            cosine={name: float(np.nanmean(value[:, lag])) for name, value in found.cosine.items()},
            jacobian=float(np.nanmean(h[:, lag])),
            largest_jacobian=float(np.nanmax(h[:, lag])),
            jacobians={name: float(np.nanmean(value[:, lag])) for name, value in others.items()},
            carried=None if carried is None else float(np.nanmean(carried.largest[:, lag])),
            carried_mean=None if carried is None else float(np.nanmean(carried.mean[:, lag])),
        )
        for lag in range(h.shape[1])
    )


def _rate(jacobian: Array) -> float | None:
    """The factor a step of the mean norm of dh(t)/dh(t-k), between lag 1 and the last lag where it is not zero."""
    means = np.nanmean(jacobian, axis=0)
    lags = [lag for lag in range(1, len(means)) if 0 < means[lag] < np.inf]
    if len(lags) < 2:
        return None
    first, last = lags[0], lags[-1]
    return float((means[last] / means[first]) ** (1 / (last - first)))


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
