"""Whole rows of logits: for sampling, for small vocabularies, and for what is said beside a probability."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rnnlm.kernels.blas import gemm
from rnnlm.kernels.jit import jit
from rnnlm.kernels.maths import exp_sum, largest
from rnnlm.kernels.shares import share
from rnnlm.kernels.team import parallel

if TYPE_CHECKING:
    from rnnlm.buffers import Buffers

# Logits that a worker holds at once: as many rows as stay in the cache.
_HELD = 1 << 20


def forward(h, U, b2, tied, targets, log_probability, rank, entropy, details, buffers: Buffers, workers):
    """Writes log_probability, and with `details` rank and entropy; see ``outputs.softmax.forward``."""
    block = max(1, min(-(-h.shape[0] // workers), _HELD // b2.size))
    z = buffers.take("logits", (workers, block, b2.size))
    _forward(workers, h, U, b2, tied, targets, z, log_probability, rank, entropy, details)


def distribution(h, U, b2, tied, buffers: Buffers):
    """log y^(t), N x |V| float64."""
    z = buffers.take("logits", (h.shape[0], b2.size))
    _logits(h, U, b2, tied, z)
    z = z.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


@jit
def _logits(h, U, b2, tied, z):
    for i in range(z.shape[0]):
        for j in range(b2.size):
            z[i, j] = b2[j]
    gemm(h, U, z, False, tied, True)  # z2 = h U + b2


@parallel
def _forward(worker, workers, h, U, b2, tied, targets, logits, log_probability, rank, entropy, details):
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
