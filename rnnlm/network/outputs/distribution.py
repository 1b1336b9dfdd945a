"""Output layers without logits of all tokens: their scores from log y^, and draws of one part."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rnnlm.kernels import cpu
from rnnlm.network.protocols import Array, Rows, Scores


def details(log_distribution: Callable[[Array], NDArray[np.float64]], rows: Rows, V: int) -> Scores:
    """All scores of each row. log_distribution: log y^ (B x |V|) of rows of h (B x D_h)."""
    found = Scores.zeros(len(rows.h))
    block = max(1, cpu.LOGITS_A_THREAD // V)
    for first in range(0, len(rows.h), block):
        part = slice(first, first + block)
        log_y = log_distribution(rows.h[part])
        each, best = np.arange(len(log_y)), log_y.argmax(axis=1)
        own = log_y[each, rows.targets[part]]
        found.log_probability[part] = own
        found.rank[part] = 1 + (log_y > own[:, None]).sum(axis=1)
        found.entropy[part] = -(np.exp(log_y) * log_y).sum(axis=1)
        found.alternative[part] = best
        found.alternative_log_probability[part] = log_y[each, best]
    return found


def drawn(
    log_p: NDArray[np.float64], uniforms: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Of each row of log probabilities (B x n): what a number in [0, 1) draws of it, where within its probability the
    number lies, again in [0, 1), and its log probability."""
    cumulated = np.exp(log_p).cumsum(axis=1)
    wanted = uniforms * cumulated[:, -1]
    rows, last = np.arange(len(log_p)), log_p.shape[1] - 1
    chosen = np.minimum((cumulated <= wanted[:, None]).sum(axis=1), last)
    own = log_p[rows, chosen]
    before = np.where(chosen > 0, cumulated[rows, chosen - 1], 0.0)
    left = np.clip((wanted - before) / np.exp(own), 0.0, np.nextafter(1.0, 0.0))
    return chosen, left, own
