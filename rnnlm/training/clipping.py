"""Gradient clipping, first of each number by value, then of the whole by norm.

Every number to +-clip_value; then the whole gradient, all parameters together, to the norm `clip_norm`
(Pascanu, Mikolov & Bengio 2013, algorithm 1).
"""

from __future__ import annotations

import math

import numpy as np

from rnnlm.kernels.cpu import UPDATED_NUMBERS, useful_threads
from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.parameters import Gradients


def clip(gradients: Gradients, norm: float | None, value: float | None, threads: int) -> tuple[float, float]:
    """Clips by value, in place; returns the gradient's norm after that, and the factor that clips by norm, which the
    optimizer multiplies by."""
    squares = 0.0
    for _, array in gradients.arrays():
        flat = array.reshape(array.size)
        useful = useful_threads(threads, flat.size, UPDATED_NUMBERS)
        parts = np.zeros(useful)
        _clip_and_square(useful, flat, flat.dtype.type(value or 0), value is not None, parts)
        squares += float(parts[0] if useful == 1 else parts.sum())
    found = math.sqrt(squares) if squares >= 0 else math.nan
    return found, norm / found if norm is not None and found > norm else 1.0


@parallel
def _clip_and_square(thread, gradient, limit, by_value, parts):
    """Clips each number to +-limit and sums the squares in float64, a part a thread."""
    start, stop = partition(thread, gradient.size, 16)
    parts[thread.number] = _clip_and_square_range(gradient[start:stop], limit, by_value)


@jit
def _clip_and_square_range(g, limit, by_value):
    """One thread's numbers; returns the sum of their squares."""
    if by_value:
        for j in range(g.size):
            g[j] = limit if g[j] > limit else g[j]
            g[j] = -limit if g[j] < -limit else g[j]
    total = 0.0
    for j in range(g.size):
        total += np.float64(g[j]) * np.float64(g[j])
    return total
