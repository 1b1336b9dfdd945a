"""How work is shared out: worker w of n gets the range [start, stop) of `total` rows or columns.

Ranges are whole multiples of `grain` where there is enough work, so that two workers never write to one cache line.
"""

from __future__ import annotations

from rnnlm.kernels.jit import jit


@jit
def share(worker, workers, total, grain):
    """[start, stop) for one worker; the ranges of all workers cover [0, total) without overlap."""
    units = (total + grain - 1) // grain
    start = min(total, units * worker // workers * grain)
    stop = min(total, units * (worker + 1) // workers * grain)
    return start, stop
