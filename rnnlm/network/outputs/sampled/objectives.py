"""The objectives of sampled training: from logits to their losses and gradients, row by row.

Of row r: z_x the logit of its target, l_j = z_j + b_j' what the product gives for drawn token j, with the objective's
constant b_j' in it; the logits become gradients in place.
"""

from __future__ import annotations

import math

import numpy as np

from rnnlm.kernels.elementwise.activations import sigmoid
from rnnlm.kernels.elementwise.exp import exp
from rnnlm.kernels.elementwise.rows import add
from rnnlm.kernels.elementwise.softmax import exp_sum, largest
from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel

# e^this is as good as 0 beside the target's own exponential.
_NEVER = -1e4


@parallel
def target_logits(thread, h, U, b2, own, logits):
    """z_x (R) of each row's target. own: R, the target's place in U (n x D_h) and b2 (n)."""
    first, last = partition(thread, h.shape[0], 1)
    for r in range(first, last):
        logits[r] = b2[own[r]] + _dot(h[r], U[own[r]])


@jit
def _dot(a, b):
    total = a.dtype.type(0)
    for k in range(a.size):
        total += a[k] * b[k]
    return total


@parallel
def importance(thread, logits, targets, own, scale, d_targets, losses):
    """J = log Z^ - z_x with Z^ = exp(z_x) + sum_(j != x) exp(l_j), l_j = z_j + log(times_j / (K q_j)): an unbiased
    estimate of Z.

    Args:
        logits: R x n, l; becomes scale dJ/dz.
        targets: R, z_x; own: R, the target's place among the n drawn tokens, or beyond them.
        d_targets: R, written: scale dJ/dz_x.
        losses: R, written: J.
    """
    first, last = partition(thread, logits.shape[0], 1)
    count = logits.shape[1]
    for r in range(first, last):
        row = logits[r]
        if own[r] < count:
            row[own[r]] = _NEVER
        shift = max(largest(row), targets[r])
        others, target = exp_sum(row, shift), exp(targets[r] - shift)
        factor = scale / (others + target)
        for j in range(count):
            row[j] *= factor
        if own[r] < count:
            row[own[r]] = 0
        d_targets[r] = -others * factor
        losses[r] = np.float64(shift) + math.log(np.float64(others + target)) - np.float64(targets[r])


@parallel
def contrast(thread, logits, targets, log_noise, own, times, scale, d_targets, losses):
    """J = - log sigma(l_x) - sum_j times_j log(1 - sigma(l_j)), l_j = z_j - log(K q_j): which of a target and K noise
    tokens came from the text (Gutmann & Hyvärinen 2010; Mnih & Teh 2012, equation 8).

    Args:
        logits: R x n, l; becomes scale dJ/dz.
        targets: R, z_x; log_noise: n or more, log(K q) of each token by its place; own: R, the target's place.
        times: n.
        d_targets, losses: as of `importance`.
    """
    first, last = partition(thread, logits.shape[0], 1)
    for r in range(first, last):
        row = logits[r]
        target = targets[r] - log_noise[own[r]]
        loss = _softplus(-np.float64(target))
        d_targets[r] = -scale * sigmoid(-target)
        for j in range(row.size):
            loss += times[j] * _softplus(np.float64(row[j]))
        for j in range(row.size):
            row[j] = scale * times[j] * sigmoid(row[j])
        losses[r] = loss


@jit
def _softplus(x):
    """log(1 + e^x)."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@parallel
def add_targets(thread, h, U, own, d_targets, dh):
    """What the targets add to dJ/dh (R x D_h)."""
    first, last = partition(thread, h.shape[0], 1)
    for r in range(first, last):
        for k in range(h.shape[1]):
            dh[r, k] += d_targets[r] * U[own[r], k]


@parallel
def add_to_rows(thread, h, own, d_targets, dU):
    """The same to dJ/dU (n x D_h); each thread has its own columns, so that sums have one order."""
    first, last = partition(thread, h.shape[1], 16)
    for r in range(h.shape[0]):
        for k in range(first, last):
            dU[own[r], k] += d_targets[r] * h[r, k]


@jit
def sums_of_columns(rows, sums):
    """sums (n) = the sum over rows (R x n)."""
    for j in range(sums.size):
        sums[j] = 0
    for r in range(rows.shape[0]):
        add(rows[r], sums)
