"""Dropout (Srivastava et al. 2014; only between layers, never in the recurrence: Zaremba et al. 2014).

    x~ = m o x / (1 - p),  m_j = 0 with probability p

The mask is not drawn from a stream of random numbers but computed from (seed, step, place, j) by a hash (splitmix64;
Steele, Lea & Flood 2014). So it needs no state in a checkpoint, no memory (backward computes it again), and does not
depend on the number of threads.
"""

from __future__ import annotations

import numpy as np

from rnnlm.kernels.jit import jit
from rnnlm.kernels.shares import share
from rnnlm.kernels.team import parallel

_A, _B, _C = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@jit
def _mix(x):
    """splitmix64's output function."""
    x = (x ^ (x >> np.uint64(30))) * _B
    x = (x ^ (x >> np.uint64(27))) * _C
    return x ^ (x >> np.uint64(31))


def key(seed: int, step: int, place: int) -> np.uint64:
    """What makes one layer's mask at one training step differ from all others."""
    mask = (1 << 64) - 1
    value = (seed * 0x9E3779B97F4A7C15 + step * 0xD1342543DE82EF95 + place * 0xA0761D6478BD642F + 1) & mask
    return np.uint64(value)


@parallel
def apply(worker, workers, x, key, p):
    """x := x~, in place. Backward is the same call with the same key on the gradient. x: contiguous, any shape."""
    flat = x.reshape(x.size)
    keep = x.dtype.type(1.0 / (1.0 - p))
    threshold = np.uint64(p * 18446744073709551616.0)
    start, stop = share(worker, workers, flat.size, 16)
    own, base = flat[start:stop], _mix(key)
    for j in range(own.size):
        kept = _mix(base + np.uint64(start + j) * _A) >= threshold
        own[j] = own[j] * keep if kept else own.dtype.type(0)
