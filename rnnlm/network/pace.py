"""The pace of the recurrent layers in scoring: how many threads a window takes, found out as it runs.

Threads that share the columns of h wait for each other at every step. Where a core does something else too, such a
wait lasts until the system gives the core back, and all threads together are many times slower than one. h is the
same to the last bit whatever their number, so what is quicker may be taken at any time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

# The share of the time that trying the other number again may take.
_SHARE = 0.03


class Pace:
    """The choice between one thread and all of them, window after window."""

    def __init__(self, threads: int) -> None:
        self._all = threads
        self._seconds: dict[int, float] = {}  # a step, by the number of threads, when last tried
        self._since = 0.0  # seconds of work since then
        self._first = True  # the first window may compile

    @contextmanager
    def window(self, steps: int) -> Iterator[int]:
        """How many threads the next window is to take; times it."""
        threads = self._next(steps)
        began = time.perf_counter()
        yield threads
        seconds = time.perf_counter() - began
        if self._first:
            self._first = False
            return
        self._since = self._since + seconds if threads == self._best() else 0.0
        self._seconds[threads] = seconds / max(1, steps)

    def _next(self, steps: int) -> int:
        for threads in (self._all, 1):
            if threads not in self._seconds:
                return threads
        best = self._best()
        other = 1 if best == self._all else self._all
        return other if self._seconds[other] * steps < _SHARE * self._since else best

    def _best(self) -> int:
        return min(self._seconds, key=self._seconds.__getitem__, default=self._all)
