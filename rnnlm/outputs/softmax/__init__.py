"""The full softmax over the vocabulary.

    z2(t) = h(t) U + b2                   1 x |V|      U: D_h x |V|   b2: |V|
    y^(t) = softmax(z2(t))
    J(t)  = - log y^_x(t)                 x: the token that came (y(t) has its 1 there)

    delta2(t) = dJ(t)/dz2(t) = y^(t) - y(t)
    dJ/dU = sum_t h(t)' delta2(t)         dJ/db2 = sum_t delta2(t)         dJ/dh(t) = delta2(t) U'

The steps of all streams are rows here: h is N x D_h, one target a row. The N x |V| matrix of logits exists once at
most, and never as one pass over memory for each line above:

    columns   large vocabularies: each worker has its own part of the vocabulary, and with it of U and dU
    rows      small ones (characters): each worker has its own rows; the workers' dUs are added in their order
    logits    whole rows of logits, for sampling and for ranks and entropies

Tied weights (Press & Wolf 2017; Inan et al. 2017): U is the transposed embedding table, given as |V| x D_h with
``tied``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rnnlm.outputs.softmax import columns, logits, rows

if TYPE_CHECKING:
    from rnnlm.buffers import Buffers

# Vocabularies from here on are shared out by columns.
_COLUMNS_FROM = 512


def shapes(hidden: int, vocabulary: int, tied: bool) -> dict[str, tuple[int, ...]]:
    """Parameters by name; a tied U belongs to the embedding."""
    return {"b2": (vocabulary,)} if tied else {"U": (hidden, vocabulary), "b2": (vocabulary,)}


def init(
    hidden: int, vocabulary: int, tied: bool, dtype: np.dtype, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """U uniform in +-1/sqrt(D_h), b2 = 0."""
    result = {"b2": np.zeros(vocabulary, dtype)}
    if not tied:
        bound = 1 / np.sqrt(hidden)
        result["U"] = np.empty((hidden, vocabulary), dtype)
        for row in result["U"]:  # no second U, in float64, beside it
            row[:] = generator.uniform(-bound, bound, vocabulary)
    return result


def forward(h, U, b2, tied, targets, buffers: Buffers, workers, details=False):
    """log y^_x(t) of each row's target, in nats.

    Args:
        h: N x D_h; U: D_h x |V| (tied: |V| x D_h); b2: |V|; targets: N int32.
        details: also each prediction's rank of the target and entropy.

    Returns:
        log_probability (N float64), rank (N int64: 1 + the tokens that are more probable), entropy (N float64, nats);
        the last two are zeros without `details`.
    """
    count = h.shape[0]
    log_probability, rank, entropy = np.zeros(count), np.zeros(count, np.int64), np.zeros(count)
    if details or b2.size < _COLUMNS_FROM:
        logits.forward(h, U, b2, tied, targets, log_probability, rank, entropy, details, buffers, workers)
    else:
        columns.forward(h, U, b2, tied, targets, log_probability, buffers, workers)
    return log_probability, rank, entropy


def backward(h, U, b2, tied, targets, scale, dU, db2, dh, buffers: Buffers, workers):
    """Loss and gradients of ``scale * sum of J`` over the rows, in one pass.

    Args:
        scale: what each row's loss counts for (1 / B: J summed over time, averaged over the streams).
        dU, db2, dh: written, not added to.

    Returns:
        The sum of J over the rows in nats, not scaled, summed in float64.
    """
    way = rows if b2.size < _COLUMNS_FROM else columns
    return way.backward(h, U, b2, tied, targets, h.dtype.type(scale), dU, db2, dh, buffers, workers)


def distribution(h, U, b2, tied, buffers: Buffers, workers):
    """log y^(t), N x |V|, for sampling: a fresh array in float64."""
    return logits.distribution(h, U, b2, tied, buffers)


def ready(U, tied, buffers: Buffers):
    """What `step` reads, from weights that do not change any more."""
    return logits.ready(U, tied, buffers)


def step(packed, b2, h, z, workers):
    """z2 of the next token, B x |V|, written to z."""
    logits.step(packed, b2, h, z, workers)


def log_softmax(z):
    """log y^ of rows of z2, in float64."""
    return logits.log_softmax(z)


def draw(z, temperature, without, uniforms, workers):
    """A token of each row of z2; see ``logits.draw``."""
    return logits.draw(z, temperature, without, uniforms, workers)


def held_bytes(rows: int, vocabulary: int, weights: int, itemsize: int, workers: int) -> int:
    """About what training holds of logits and of the workers' own dUs, for `rows` rows a window and U of `weights`
    bytes."""
    if vocabulary < _COLUMNS_FROM:
        return max(1, workers - 1) * weights
    return min(rows * vocabulary * itemsize, columns.HELD)
