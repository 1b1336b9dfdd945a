"""The partition of work over threads: which rows or columns each of them has."""

from __future__ import annotations

from rnnlm.kernels.jit import jit


@jit
def partition(thread, total, grain):
    """One thread's range [start, stop) of `total` rows or columns; the ranges of all threads cover [0, total) without
    overlap.

    Ranges are whole multiples of `grain` where there is enough work, so that two threads never write to one cache
    line.
    """
    units = (total + grain - 1) // grain
    start = min(total, units * thread.number // thread.threads * grain)
    stop = min(total, units * (thread.number + 1) // thread.threads * grain)
    return start, stop
