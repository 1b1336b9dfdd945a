"""Rows of numbers, copied, cleared, added up and told apart inside kernels.

Loops, since an assignment of one array to another brings the text of its error message with it, a second of compiling
each; and loops from 0, since one that could begin below it is not vectorised: give slices, not bounds.
"""

from __future__ import annotations

from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.instructions import address


@jit
def copy(source, target):
    """target = source."""
    for j in range(target.size):
        target[j] = source[j]


@jit
def clear(target):
    """target = 0."""
    for j in range(target.size):
        target[j] = 0


@jit
def add(source, target):
    """target += source."""
    for j in range(target.size):
        target[j] += source[j]


@jit
def in_one_place(a, b):
    """Whether two arrays begin with the same number in memory."""
    return address(a) == address(b)
