"""The thread pool: kernels that several threads run at once.

    @parallel
    def scale(thread, x, factor):
        start, stop = partition(thread, x.size, 16)
        x[start:stop] *= factor

    scale(2, x, factor)          # two threads, numbers 0 and 1, run the body at the same time

Every thread runs the whole body, with the range that `partition` gives it; ``barrier.wait(thread)`` makes them wait
for each other. So the order of every sum, and with it every bit of the result, depends on the number of threads
alone.

Thread 0 is the one that calls; the others are Python threads that wait for work, outside of Python's lock while a
kernel runs. Not Numba's own prange: there LLVM optimises the whole body, with all it calls, once more for each loop,
which made compiling several times longer. The price is some 10 microseconds a call. A thread that waits looks for
work for some 50 microseconds, since calls come in quick succession, then sleeps, so that other programs get the core.
"""

from __future__ import annotations

import _thread
import os
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.barrier import arrivals, reaches

# Looks at a flag before the thread sleeps; 25 ns each.
_LOOKS = 2000
# Flags lie so far apart that no two are in one cache line.
_APART = 16


class Thread(NamedTuple):
    """What a kernel knows of the thread that runs it."""

    number: int  # from 0
    threads: int  # that run the kernel
    arrivals: np.ndarray  # at the barrier that they have in common


def _threads(count: int) -> list[Thread]:
    shared = arrivals(count)
    return [Thread(number, count, shared) for number in range(count)]


class _Pool:
    """Threads 1 ... n - 1 of n. A flag tells of a call and of its end; the lock beside it is what to sleep on."""

    def __init__(self, count: int) -> None:
        self.threads = _threads(count)
        self._called, self._ended = (np.zeros(count * _APART, np.int64) for _ in range(2))
        self._go, self._end = ([_thread.allocate_lock() for _ in range(count)] for _ in range(2))
        for lock in (*self._go, *self._end):
            lock.acquire()
        self._calls = 0
        self._job: tuple[Any, tuple[Any, ...]] | None = None
        self._failed: BaseException | None = None
        for number in range(1, count):
            threading.Thread(target=self._serve, args=(number,), daemon=True, name=f"rnnlm-{number}").start()

    def _serve(self, number: int) -> None:
        go, end, place, call = self._go[number], self._end[number], number * _APART, 0
        while True:
            call += 1
            reaches(self._called, place, call, _LOOKS)
            go.acquire()
            if self._job is None:
                return
            kernel, arguments = self._job
            try:
                kernel(self.threads[number], *arguments)
            except BaseException as error:
                self._failed = error
                self._call_off()
            self._ended[place] = call
            end.release()

    def _call_off(self) -> None:
        """One thread has failed and will not come to any barrier: nobody is to wait for it."""
        self.threads[0].arrivals[0] = 1 << 62

    def run(self, kernel: Any, arguments: tuple[Any, ...]) -> None:
        self.threads[0].arrivals[:] = 0
        self._job = (kernel, arguments)
        self._calls += 1
        for number in range(1, len(self.threads)):
            self._called[number * _APART] = self._calls
            self._go[number].release()
        try:
            kernel(self.threads[0], *arguments)
        except BaseException:
            self._call_off()
            raise
        finally:
            self._wait()
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed

    def _wait(self) -> None:
        """Until all have ended, whatever is thrown meanwhile: nobody may still write to arrays when `run` returns."""
        thrown: BaseException | None = None
        for number in range(1, len(self.threads)):
            waits = True
            while waits:
                try:
                    reaches(self._ended, number * _APART, self._calls, _LOOKS)
                    self._end[number].acquire()
                    waits = False
                except BaseException as error:  # Ctrl-C
                    thrown = error
        if thrown is not None:
            raise thrown

    def dismiss(self) -> None:
        self._job = None
        for number in range(1, len(self.threads)):
            self._go[number].release()


_pool: _Pool | None = None
_in_use = threading.RLock()


def _forget() -> None:
    """After a fork the child has no threads but its own."""
    global _pool, _in_use
    _pool, _in_use = None, threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


_alone = _threads(1)[0]


def _run(count: int, kernel: Any, arguments: tuple[Any, ...]) -> None:
    global _pool
    if count == 1:
        kernel(_alone, *arguments)
        return
    with _in_use:
        if _pool is None or len(_pool.threads) != count:
            if _pool is not None:
                _pool.dismiss()
            _pool = _Pool(count)
        _pool.run(kernel, arguments)


def parallel(function: Callable[..., None]) -> Callable[..., None]:
    """Compile ``f(thread, ...)``; the result is called as ``f(threads, ...)``, with a number of threads, and each of
    these runs its part."""
    kernel = jit(function)

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
