"""Norms, shares and cosines of the parts of a gradient, and what truncation keeps of them.

A part of a matrix is one column times one row, so its norm is the product of two norms, and its inner product with
the whole needs no matrix of its own: <left' delta, whole> = <left whole, delta>.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.ledger.records import Kept
from rnnlm.gradients.ledger.walk import Layer
from rnnlm.network.reference import equations

Array = NDArray[np.float64]
Arrays = dict[str, Array]

INPUT = "e"


class Parts(NamedTuple):
    """By the name of a parameter, of the input and of a gate's block: losses x lags, NaN before the window; and the
    norm of the whole."""

    norm: Arrays
    share: Arrays
    cosine: Arrays
    whole: dict[str, float]


def whole(layer: Layer) -> Arrays:
    """The sum of all parts by block: dJ/dH_f ..., and dJ/de(s) for every s."""
    sums = {name: delta.sum(axis=0) for name, delta in layer.delta.items()}
    found = {}
    for block in layer.blocks:
        delta = sums[block.delta]
        found[block.name] = (
            delta.sum(axis=0) if block.left is None else equations.dJ_dweights(layer.left[block.left], delta)
        )
    return found | {INPUT: layer.de.sum(axis=0)}


def by_parameter(layer: Layer, wholes: Arrays) -> Arrays:
    """The gradient of each parameter, its gates' blocks side by side."""
    found = {}
    for name, value in (layer.p | layer.norm).items():
        found[name] = np.zeros_like(value)
        for block in layer.blocks:
            if block.parameter == name:
                found[name][block.place] = wholes[block.name]
    return found


def parts(layer: Layer, wholes: Arrays) -> Parts:
    """Norm, share and cosine of every part."""
    sizes = {name: np.linalg.norm(delta, axis=2) for name, delta in layer.delta.items()}
    squares = {INPUT: (layer.de**2).sum(axis=2)}
    products = {INPUT: np.einsum("isj,sj->is", layer.de, wholes[INPUT])}
    whole_squares = {INPUT: float((wholes[INPUT] ** 2).sum())}
    for block in layer.blocks:
        delta, own = layer.delta[block.delta], wholes[block.name]
        if block.left is None:
            square, product = sizes[block.delta] ** 2, delta @ own
        else:
            left = layer.left[block.left]
            square = (sizes[block.delta] * np.linalg.norm(left, axis=1)) ** 2
            product = np.einsum("isj,sj->is", delta, left @ own)
        # A gate's block is listed by itself, and its parameter has the sum over its gates.
        for name in {block.name, block.parameter}:
            squares[name] = squares.get(name, 0) + square
            products[name] = products.get(name, 0) + product
            whole_squares[name] = whole_squares.get(name, 0) + float((own**2).sum())
    norm, share, cosine = {}, {}, {}
    for name in names(layer):
        size, all_of_it = np.sqrt(squares[name]), np.sqrt(whole_squares[name])
        norm[name] = by_lag(size)
        share[name] = by_lag(over(products[name], whole_squares[name]))
        cosine[name] = by_lag(over(products[name], size * all_of_it))
    return Parts(norm, share, cosine, {name: float(np.sqrt(whole_squares[name])) for name in norm})


def names(layer: Layer) -> tuple[str, ...]:
    """The parameters, the input, and the gates' blocks."""
    return (*dict.fromkeys(block.parameter for block in layer.blocks), INPUT, *gates(layer))


def gates(layer: Layer) -> tuple[str, ...]:
    """The blocks that are one gate's part of a parameter."""
    return tuple(block.name for block in layer.blocks if block.gate)


def by_lag(by_step: Array) -> Array:
    """[loss, step] turned into [loss, lag]; NaN before the window."""
    losses, steps = by_step.shape
    result = np.full((losses, steps), np.nan)
    for i in range(losses):
        t = steps - losses + i
        result[i, : t + 1] = by_step[i, t::-1]
    return result


def over(a: Array, b: Any) -> Array:
    """a / b, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(a), where=np.asarray(b) > 0)


def kept(layers: list[Layer]) -> tuple[Kept, ...]:
    """Truncation after 1, 2, ... T steps; norms and products over all layers, their weights and inputs together."""
    losses, steps, _ = layers[0].de.shape
    wholes = [whole(layer) for layer in layers]
    so_far = [{name: np.zeros_like(value) for name, value in found.items()} for found in wholes]
    total = np.sqrt(sum(float((value**2).sum()) for found in wholes for value in found.values()))
    result = []
    for lag in range(steps):
        i = np.arange(max(0, lag - (steps - losses)), losses)
        s = steps - losses + i - lag
        for layer, sums in zip(layers, so_far, strict=True):
            for block in layer.blocks:
                delta = layer.delta[block.delta][i, s]
                sums[block.name] += (
                    delta.sum(axis=0)
                    if block.left is None
                    else equations.dJ_dweights(layer.left[block.left][s], delta)
                )
            sums[INPUT][s] += layer.de[i, s]
        square = product = missing = 0.0
        for sums, found in zip(so_far, wholes, strict=True):
            for name, value in sums.items():
                square += float((value**2).sum())
                product += float((value * found[name]).sum())
                missing += float(((value - found[name]) ** 2).sum())
        norm = np.sqrt(square)
        if total == 0:
            result.append(Kept(lag + 1, 1.0, 1.0, 0.0))
        else:
            cosine = product / (norm * total) if norm > 0 else 0.0
            result.append(Kept(lag + 1, float(norm / total), float(cosine), float(np.sqrt(missing) / total)))
    return tuple(result)
