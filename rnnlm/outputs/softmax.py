"""The full softmax over the vocabulary.

    z2(t) = h(t) U + b2                   1 x |V|      U: D_h x |V|   b2: |V|
    y^(t) = softmax(z2(t))
    J(t)  = - log y^_x(t)                 x: the token that came (y(t) has its 1 there)

    delta2(t) = dJ(t)/dz2(t) = y^(t) - y(t)
    dJ/dU = sum_t h(t)' delta2(t)         dJ/db2 = sum_t delta2(t)         dJ/dh(t) = delta2(t) U'

The steps of all streams are rows here: h is N x D_h, one target a row. Training is one pass: a block of rows goes
through h -> z2 -> log-sum-exp and loss -> delta2 in place -> dh, dU, db2, so that the N x |V| matrix never exists.

Each worker has its own rows, a block of logits and a dU of its own; the dUs are added in the order of the workers.

Tied weights (Press & Wolf 2017; Inan et al. 2017): U is the transposed embedding table, given as |V| x D_h with
``tied``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rnnlm.kernels.blas import gemm
from rnnlm.kernels.jit import jit, parallel, prange
from rnnlm.kernels.maths import exp_sum, largest
from rnnlm.kernels.shares import share

if TYPE_CHECKING:
    from rnnlm.buffers import Buffers

# Rows of a block: enough to make packing U cheap beside the product, few enough to keep a block of logits in the
# cache.
_BLOCK_BYTES = 8 << 20
_BLOCK_MOST = 384


def shapes(hidden: int, vocabulary: int, tied: bool) -> dict[str, tuple[int, ...]]:
    """Parameters by name; a tied U belongs to the embedding."""
    return {"b2": (vocabulary,)} if tied else {"U": (hidden, vocabulary), "b2": (vocabulary,)}


def init(hidden: int, vocabulary: int, tied: bool, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """U uniform in +-1/sqrt(D_h), b2 = 0."""
    if tied:
        return {"b2": np.zeros(vocabulary)}
    bound = 1 / np.sqrt(hidden)
    return {"U": generator.uniform(-bound, bound, (hidden, vocabulary)), "b2": np.zeros(vocabulary)}


def block_rows(rows: int, vocabulary: int, itemsize: int, workers: int) -> int:
    """Rows of logits that a worker holds at once."""
    most = max(16, min(_BLOCK_MOST, _BLOCK_BYTES // (vocabulary * itemsize)))
    own = math.ceil(rows / workers)
    return max(1, math.ceil(own / math.ceil(own / most)))


def forward(h, U, b2, tied, targets, buffers: Buffers, workers, details=False):
    """log y^_x(t) of each row's target, in nats.

    Args:
        h: N x D_h; U: D_h x |V| (tied: |V| x D_h); b2: |V|; targets: N int32.
        details: also each prediction's rank of the target and entropy.

    Returns:
        log_probability (N float64), rank (N int64: 1 + the tokens that are more probable), entropy (N float64, nats);
        the last two are zeros without `details`.
    """
    rows, vocabulary = h.shape[0], b2.shape[0]
    block = block_rows(rows, vocabulary, h.itemsize, workers)
    logits = buffers.take("logits", (workers, block, vocabulary))
    log_probability = np.zeros(rows)
    rank = np.zeros(rows, np.int64)
    entropy = np.zeros(rows)
    _forward(h, U, b2, tied, targets, logits, log_probability, rank, entropy, details, workers)
    return log_probability, rank, entropy


def backward(h, U, b2, tied, targets, scale, dU, db2, dh, buffers: Buffers, workers):
    """Loss and gradients of ``scale * sum of J`` over the rows, in one pass.

    Args:
        scale: what each row's loss counts for (1 / B: J summed over time, averaged over the streams).
        dU, db2, dh: written, not added to.

    Returns:
        The sum of J over the rows in nats, not scaled, summed in float64.
    """
    rows, vocabulary = h.shape[0], b2.shape[0]
    block = block_rows(rows, vocabulary, h.itemsize, workers)
    logits = buffers.take("logits", (workers, block, vocabulary))
    # Worker 0 writes to dU itself, the others to a copy that is added afterwards.
    dU_parts = buffers.take("dU_parts", (max(1, workers - 1), *dU.shape))
    db2_parts = buffers.take("db2_parts", (workers, vocabulary))
    losses = np.zeros(workers)
    _backward(h, U, b2, tied, targets, h.dtype.type(scale), logits, dU, dU_parts, db2_parts, dh, losses, workers)
    _add_parts(dU, dU_parts, db2, db2_parts, workers)
    return float(losses.sum())


def distribution(h, U, b2, tied, buffers: Buffers, workers):
    """log y^(t), N x |V|, for sampling: a fresh array in float64."""
    rows, vocabulary = h.shape[0], b2.shape[0]
    logits = buffers.take("logits", (rows, vocabulary))
    _logits(h, U, b2, tied, logits)
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


@jit
def _logits(h, U, b2, tied, z):
    for i in range(z.shape[0]):
        z[i] = b2
    gemm(h, U, z, False, tied, True)  # z2 = h U + b2


@parallel
def _forward(h, U, b2, tied, targets, logits, log_probability, rank, entropy, details, workers):
    for worker in prange(workers):
        start, stop = share(worker, workers, h.shape[0], 1)
        block = logits.shape[1]
        for first in range(start, stop, block):
            last = min(stop, first + block)
            z = logits[worker, : last - first]
            _logits(h[first:last], U, b2, tied, z)
            for i in range(last - first):
                if details:
                    rank[first + i], entropy[first + i] = _rank_and_entropy(z[i], targets[first + i])
                log_probability[first + i] = _log_probability(z[i], targets[first + i])


@jit
def _log_probability(z, target):
    """log y^_target; z becomes exp(z - max z)."""
    shift = largest(z)
    own = z[target] - shift
    return np.float64(own) - math.log(np.float64(exp_sum(z, shift)))


@jit
def _rank_and_entropy(z, target):
    """1 + how many logits are above the target's; -sum y^ log y^ = log Z - sum (z - m) e^(z - m) / Z."""
    shift = np.float64(largest(z))
    above, total, weighted = 0, 0.0, 0.0
    for j in range(z.size):
        above += z[j] > z[target]
        below = np.float64(z[j]) - shift
        e = math.exp(below)
        total += e
        weighted += below * e
    return 1 + above, math.log(total) - weighted / total


@parallel
def _backward(h, U, b2, tied, targets, scale, logits, dU, dU_parts, db2_parts, dh, losses, workers):
    for worker in prange(workers):
        start, stop = share(worker, workers, h.shape[0], 1)
        own = dU if worker == 0 else dU_parts[worker - 1]
        losses[worker] = _backward_rows(
            h, U, b2, tied, targets, scale, logits[worker], own, db2_parts[worker], dh, start, stop
        )


@jit
def _backward_rows(h, U, b2, tied, targets, scale, logits, dU, db2, dh, start, stop):
    """One worker's rows, block by block."""
    loss = 0.0
    db2[:] = 0
    if start == stop:
        dU[:] = 0
    block = logits.shape[0]
    for first in range(start, stop, block):
        last = min(stop, first + block)
        h_block, z = h[first:last], logits[: last - first]
        _logits(h_block, U, b2, tied, z)
        for i in range(last - first):
            loss -= _delta2(z[i], targets[first + i], scale, db2)
        gemm(z, U, dh[first:last], False, not tied, False)  # undoes z2 = h U: dh = delta2 U'
        if tied:
            gemm(z, h_block, dU, True, False, first > start)  # the same product, transposed
        else:
            gemm(h_block, z, dU, True, False, first > start)  # dU += h' delta2
    return loss


@jit
def _delta2(z, target, scale, db2):
    """z becomes scale (y^ - y) and is added to db2; returns log y^_target."""
    shift = largest(z)
    own = np.float64(z[target] - shift)
    total = exp_sum(z, shift)
    factor = scale / total
    for j in range(z.size):
        z[j] *= factor
        db2[j] += z[j]
    z[target] -= scale
    db2[target] -= scale
    return own - math.log(np.float64(total))


@parallel
def _add_parts(dU, dU_parts, db2, db2_parts, workers):
    """dU += the other workers' parts, in their order; columns of the flat array are shared out."""
    flat = dU.reshape(dU.size)
    parts = dU_parts.reshape(dU_parts.shape[0], dU.size)
    for worker in prange(workers):
        start, stop = share(worker, workers, flat.size, 16)
        for other in range(workers - 1):
            for j in range(start, stop):
                flat[j] += parts[other, j]
        start, stop = share(worker, workers, db2.size, 16)
        db2[start:stop] = 0
        for other in range(workers):
            for j in range(start, stop):
                db2[j] += db2_parts[other, j]
