"""Numbers as bfloat16, the upper half of a float32, in arrays of uint16."""

from __future__ import annotations

import numpy as np

from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.bits import as_bits, as_float, rounded_bits


@jit
def rounded(x, halves):
    """The numbers x (float32 or float64) rounded to the nearest bfloat16, to the beginning of `halves`."""
    for j in range(x.size):
        halves[j] = np.uint16(rounded_bits(as_bits(np.float32(x[j]))) >> np.uint32(16))


@jit
def as_float32(halves, x):
    """Undoes `rounded`, for as many numbers as x has."""
    for j in range(x.size):
        x[j] = as_float(np.uint32(np.uint32(halves[j]) << np.uint32(16)))


@jit
def sum_of(halves, total):
    """The sum over the rows of `halves` (P x n), in float32, rounded to bfloat16 (n)."""
    for j in range(total.size):
        found = np.float32(0)
        for rank in range(halves.shape[0]):
            found += as_float(np.uint32(np.uint32(halves[rank, j]) << np.uint32(16)))
        total[j] = np.uint16(rounded_bits(as_bits(found)) >> np.uint32(16))
