"""What holds while a kernel is compiled, so that it takes less time.

- Python's garbage collector rests: nothing that a compiler makes is garbage before it ends, and looking for it takes
  a tenth of the time.
- Functions that the kernel takes in are optimised a little (LLVM's level 1): all of them are optimised again as parts
  of the kernel. Always, not only where they happen to be compiled for it: a kernel's bits do not depend on what was
  compiled before.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba.core import event

# Everything that lets LLVM vectorise sums, except the two flags (nnan, ninf) that would make isfinite() answer
# wrongly.
FASTMATH = {"reassoc", "contract", "nsz", "arcp", "afn"}

_LEVEL_INSIDE = 1
_numba: Any = numba.config


class _Compiling(event.Listener):
    """Told, under Numba's lock, of each function that begins and ends to be compiled, one inside the other."""

    def __init__(self) -> None:
        self._depth = 0
        self._collected, self._level = False, _numba.OPT
        self.at_next: Callable[[], None] | None = None

    def on_start(self, event: Any) -> None:
        self._depth += 1
        if self._depth == 1:
            call, self.at_next = self.at_next, None
            if call is not None:
                call()
            self._collected = gc.isenabled()
            gc.disable()
        elif self._depth == 2:
            self._level, _numba.OPT = _numba.OPT, min(_numba.OPT, _LEVEL_INSIDE)

    @contextmanager
    def anew(self) -> Iterator[None]:
        """Around what is compiled without an event, LLVM's work among it: as if nothing else were being compiled. The
        caller has Numba's lock."""
        depth, collected, level, now = self._depth, self._collected, self._level, _numba.OPT
        try:
            self._depth, _numba.OPT = 0, level if depth > 1 else now
            self.on_start(None)
            yield
        finally:
            self.on_end(None)
            self._depth, self._collected, self._level, _numba.OPT = depth, collected, level, now

    def on_end(self, event: Any) -> None:
        self._depth -= 1
        if self._depth == 1:
            _numba.OPT = self._level
        elif self._depth == 0 and self._collected:
            gc.enable()


_compiling = _Compiling()
compiling_alone = _compiling.anew


def listen() -> None:
    """From now on all that is compiled is compiled so."""
    event.register("numba:compile", _compiling)


def call_at_next(function: Callable[[], None] | None) -> None:
    """Call a function once, when the next kernel begins to be compiled; None: call none."""
    _compiling.at_next = function
