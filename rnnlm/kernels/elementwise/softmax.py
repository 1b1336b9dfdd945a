"""Parts of the softmax of one row: the largest logit, the exponentials and their sum.

y^_j = exp(z_j - m) / S      S = sum_j exp(z_j - m)      m = max_j z_j, so that nothing overflows
"""

from __future__ import annotations

import numpy as np

from rnnlm.kernels.elementwise.exp import exp
from rnnlm.kernels.elementwise.rows import copy
from rnnlm.kernels.jit import jit


@jit
def largest(row):
    """The largest number of a row (n). A NaN in it may be passed over: the sum of exponentials shows it.

    LLVM does not vectorise the plain loop, since the largest of numbers with a NaN depends on their order. 64 maxima
    side by side, each its own plain loop, it does: a third of the time.
    """
    lanes = 64
    whole = row.size // lanes * lanes
    result = row[0]
    if whole > 2 * lanes:
        maxima = np.empty(lanes, row.dtype)
        copy(row[:lanes], maxima)
        for j in range(lanes, whole, lanes):
            for k in range(lanes):
                maxima[k] = row[j + k] if row[j + k] > maxima[k] else maxima[k]
        for k in range(lanes):
            result = maxima[k] if maxima[k] > result else result
    else:
        whole = 0
    for j in range(whole, row.size):
        result = row[j] if row[j] > result else result
    return result


@jit
def exp_sum(row, shift):
    """The row (n) becomes exp(row - shift); returns the sum in the row's type."""
    total = row.dtype.type(0)
    for j in range(row.size):
        exp_z = exp(row[j] - shift)
        row[j] = exp_z
        total += exp_z
    return total
