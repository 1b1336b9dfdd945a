"""The thread pool: kernels that several threads run at once.

    @parallel
    def scale(thread, x, factor):
        start, stop = partition(thread, x.size, 16)
        x[start:stop] *= factor

    scale(2, x, factor)          # two threads, numbers 0 and 1, run the body at the same time

Every thread runs the whole body, with the range that `partition` gives it; ``barrier.wait(thread)`` makes them wait
for each other. So the order of every sum, and with it every bit of the result, depends on the number of threads
alone.

Thread 0 is the one that calls; the others are Python threads that wait for work, outside of Python's lock. They begin
and end without Python (``handover``). Not Numba's own prange: there LLVM optimises the whole body, with all that it
calls, once more for each loop, which made compiling several times longer. A thread that waits looks for work for some
200 microseconds, since calls come in quick succession, then sleeps, so that other programs get the core.
"""

from __future__ import annotations

import _thread
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from rnnlm.kernels import symbols
from rnnlm.kernels.parallel import words
from rnnlm.kernels.parallel.handover import ALL, CLAIM_ALL, SETTLE_ALL, handed_over, serve
from rnnlm.kernels.parallel.words import Thread

# Looks for work before the thread sleeps; 25 ns each.
_LOOKS = 8000


class _Pool:
    """Threads 1 ... n - 1 of n, each with a lock that it sleeps on."""

    def __init__(self, count: int) -> None:
        self.count, self._words = count, words.new(count)
        self._words[words.CLAIM] = symbols.address(CLAIM_ALL, types.int64)
        self._words[words.SETTLE] = symbols.address(SETTLE_ALL, types.int64)
        self._all = Thread(ALL, count, self._words)
        self._sleeps = [_thread.allocate_lock() for _ in range(count)]
        # The threads end with the pool, also where Ctrl-C comes while they are started; not at exit, when others may
        # still call kernels.
        weakref.finalize(self, _dismiss, self._words, self._sleeps).atexit = False
        for number in range(1, count):
            self._sleeps[number].acquire()
            given = (self._words, number, self._sleeps[number])
            threading.Thread(target=_serve, args=given, daemon=True, name=f"rnnlm-{number}").start()

    def run(self, kernel: Any, arguments: tuple[Any, ...]) -> None:
        """Call a kernel; nobody works any more when this returns or raises."""
        kernel(self._all, *arguments)
        while not self._words[words.AWAKE]:
            self._wake()
            kernel(self._all, *arguments)

    def _wake(self) -> None:
        """Let whoever sleeps look for work."""
        for number in range(1, self.count):
            place = words.state(number)
            if self._words[place] == words.ASLEEP:
                self._words[place] = words.IDLE
                self._sleeps[number].release()


def _serve(shared: NDArray[np.int64], number: int, sleep: _thread.LockType) -> None:
    while not serve(shared, number, _LOOKS):
        sleep.acquire()


def _dismiss(shared: NDArray[np.int64], sleeps: list[_thread.LockType]) -> None:
    """Let the threads of a pool end; they do not work."""
    for number in range(1, len(sleeps)):
        shared[words.state(number)] = words.STOPPED
        with suppress(RuntimeError):  # not started, or woken before Ctrl-C came
            sleeps[number].release()


_pool: _Pool | None = None
_in_use = threading.RLock()


def _forget() -> None:
    """After a fork the child has no threads but its own."""
    global _pool, _in_use
    _pool, _in_use = None, threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


_alone = Thread(0, 1, words.new(1))


class Call(NamedTuple):
    """A call of a kernel."""

    kernel: Any  # what compiles it
    types: tuple[Any, ...]  # of the arguments

    def compile(self) -> None:
        """Compile the kernel for it, or read it from the cache."""
        self.kernel.compile(self.types)


_noted: list[Call] | None = None


@contextmanager
def noted() -> Iterator[list[Call]]:
    """Kernels that are called inside the block are noted, and not run: their results are whatever stood there."""
    global _noted
    _noted = []
    try:
        yield _noted
    finally:
        _noted = None


def _call(kernel: Any, arguments: tuple[Any, ...]) -> Call:
    return Call(kernel, tuple(kernel.typeof_pyval(value) for value in (_alone, *arguments)))


def _run(count: int, kernel: Any, arguments: tuple[Any, ...]) -> None:
    global _pool
    if count < 1:
        raise ValueError(f"threads: found {count}; must be at least 1")
    if _noted is not None:
        _noted.append(_call(kernel, arguments))
        return
    if count == 1:
        kernel(_alone, *arguments)
        return
    with _in_use:
        pool, _pool = _pool, None  # a pool in which a call fails is not used again
        if pool is None or pool.count != count:
            pool = _Pool(count)
        pool.run(kernel, arguments)
        _pool = pool


def parallel(function: Callable[..., None]) -> Callable[..., None]:
    """Compile ``f(thread, ...)``; the result is called as ``f(threads, ...)``, with a number of threads, and each of
    these runs its part."""
    kernel = handed_over(function)

    def call(threads: int, *arguments: Any) -> None:
        _run(threads, kernel, arguments)

    call.__doc__ = function.__doc__
    call.kernel = kernel  # type: ignore[attr-defined]
    return call


def available_threads() -> int:
    """Cores that this process may use."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def threads_to_use(threads: int | str) -> int:
    """The number of threads for `threads` ("auto": all cores allowed); never more than cores."""
    return available_threads() if threads == "auto" else min(int(threads), available_threads())
