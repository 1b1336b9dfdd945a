"""Averages of the weights over updates, which are validated and saved.

Training goes on from the weights themselves.

    ema    a := a + (1 - d) (w - a)      d = min(decay, (1 + k) / (10 + k)) at update k    (Polyak & Juditsky
           1992 with forgetting; the rising d keeps the start, which is no good, out of it)
    asgd   a := a + (w - a) / k          k: updates since the trigger: the plain mean, which begins when validation is
           worse than the best of all but the last ``patience`` ones (Merity, Keskar & Socher 2018, algorithm 1)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from rnnlm.config.training import Asgd, Ema, Train
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.training.freezing import trained

_BLOCK = 1 << 18  # numbers that are swapped at once


class Average:
    """The average of those `parameters` that are not frozen, which are changed in place by training.

    Attributes:
        values: by name; empty until the average begins.
        count: updates in it.
    """

    def __init__(self, settings: Train, parameters: dict[str, np.ndarray]) -> None:
        self.settings, self.parameters = settings.average, trained(settings, parameters)
        self.values: dict[str, np.ndarray] = {}
        self.count = 0
        if isinstance(self.settings, Ema):
            self.begin()

    def begin(self) -> None:
        """From the next update on."""
        self.values = {name: value.copy() for name, value in self.parameters.items()}
        self.count = 0

    def update(self, threads: int) -> None:
        """After every update of the weights."""
        if not self.values:
            return
        self.count += 1
        if isinstance(self.settings, Ema):
            weight = 1 - min(self.settings.decay, (1 + self.count) / (10 + self.count))
        else:
            weight = 1 / self.count
        for name, value in self.values.items():
            _move(threads, value.reshape(-1), self.parameters[name].reshape(-1), value.dtype.type(weight))

    def begin_if_due(self, losses: list[float], loss: float) -> None:
        """asgd's trigger. losses: of all validations before the one that gave `loss`."""
        if not isinstance(self.settings, Asgd) or self.values:
            return
        older = losses[: -self.settings.patience]
        if older and loss > min(older):
            self.begin()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The parameters hold the average; as they were afterwards."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, value in self.values.items():
            own, average = self.parameters[name].reshape(-1), value.reshape(-1)
            for start in range(0, own.size, _BLOCK):  # not all at once: that would be a copy of the largest parameter
                block = slice(start, start + _BLOCK)
                kept = own[block].copy()
                own[block] = average[block]
                average[block] = kept


@parallel
def _move(thread, a, w, weight):
    start, stop = partition(thread, a.size, 16)
    for j in range(start, stop):
        a[j] += weight * (w[j] - a[j])
