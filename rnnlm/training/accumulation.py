"""Gradient accumulation: the mean gradient of several windows, for one update.

``train.accumulate`` windows give what a batch so many times as large would give, in the memory of one
window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnlm.network.parameters import Gradients
from rnnlm.network.protocols import RowGradients


class Accumulated:
    """The mean of `windows` gradients, each added while it lives."""

    def __init__(self, windows: int) -> None:
        self._windows = windows
        self._dense: dict[str, np.ndarray] = {}
        self._rows: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}

    def add(self, found: Gradients) -> None:
        """One window's."""
        for name, value in found.dense.items():
            share = value / value.dtype.type(self._windows)
            if name in self._dense:
                self._dense[name] += share
            else:
                self._dense[name] = share
        for name, (tokens, rows) in found.rows.items():
            self._rows.setdefault(name, []).append((tokens.copy(), rows / rows.dtype.type(self._windows)))

    def mean(self) -> Gradients:
        """Every token of any window has one row."""
        return Gradients(self._dense, {name: sum_of_rows(parts) for name, parts in self._rows.items()})


def sum_of_rows(parts: Sequence[RowGradients]) -> RowGradients:
    """The sum of gradients that come by rows, added in their order; each has a token once, as the sum has."""
    tokens, place = np.unique(np.concatenate([tokens for tokens, _ in parts]), return_inverse=True)
    total = np.zeros((len(tokens), parts[0][1].shape[1]), parts[0][1].dtype)
    start = 0
    for own, values in parts:
        total[place[start : start + len(own)]] += values
        start += len(own)
    return tokens, total
