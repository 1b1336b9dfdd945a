"""The stopwatch that is carried through an update, and times each part where it ends."""

from __future__ import annotations

import time


class Stopwatch:
    """Seconds by part: `lap` adds the time since the lap before.

    Attributes:
        seconds: by part.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def start(self) -> None:
        """The next part begins here."""
        self._since = time.perf_counter()

    def lap(self, part: str) -> None:
        """`part` ends here."""
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now


class _Off(Stopwatch):
    """Counts nothing."""

    def lap(self, part: str) -> None:
        pass


OFF = _Off()
