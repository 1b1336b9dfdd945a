"""Whole rows of logits: their scores, and their gradients in place. Each thread has its own rows."""

from __future__ import annotations

from rnnlm.kernels.elementwise.rows import clear
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.outputs.softmax.logits import score_row
from rnnlm.network.outputs.softmax.rows import delta2


@parallel
def score(thread, z, targets, scores, details):
    """Writes log y^ of the targets (R), and with `details` all scores; z (R x |V|) is written over."""
    first, last = partition(thread, z.shape[0], 1)
    for r in range(first, last):
        score_row(z[r], targets[r], r, scores, details)


@parallel
def backward(thread, z, targets, scale, db2, losses):
    """z (R x |V|) becomes scale (y^ - y); losses (R) are J; db2 (threads x |V|): the sum of each thread's rows."""
    first, last = partition(thread, z.shape[0], 1)
    clear(db2[thread.number])
    for r in range(first, last):
        losses[r] = -delta2(z[r], targets[r], scale, db2[thread.number])
