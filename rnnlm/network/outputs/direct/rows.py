"""Whole rows of logits: their scores, and their gradients in place. Each thread has its own rows."""

from __future__ import annotations

import math

import numpy as np

from rnnlm.kernels.elementwise.softmax import exp_sum, largest
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.outputs.softmax.logits import describe, log_probability_of


@parallel
def score(thread, z, targets, scores, details):
    """Writes log y^ of the targets (R), and with `details` all scores; z (R x |V|) is written over."""
    first, last = partition(thread, z.shape[0], 1)
    for r in range(first, last):
        if details:
            describe(z[r], targets[r], r, scores)
        own = log_probability_of(z[r], targets[r])
        scores.log_probability[r] = own
        scores.alternative_log_probability[r] += own


@parallel
def backward(thread, z, targets, scale, losses):
    """z (R x |V|) becomes scale (y^ - y); losses (R) are J."""
    first, last = partition(thread, z.shape[0], 1)
    for r in range(first, last):
        row, x = z[r], targets[r]
        shift = largest(row)
        own = np.float64(row[x] - shift)
        total = exp_sum(row, shift)
        losses[r] = math.log(np.float64(total)) - own
        factor = scale / total
        for j in range(row.size):
            row[j] *= factor
        row[x] -= scale
