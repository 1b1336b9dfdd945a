"""The threads that share out a kernel's work.

    @parallel
    def scale(worker, workers, x, factor):
        start, stop = share(worker, workers, x.size, 16)
        x[start:stop] *= factor

    scale(2, x, factor)          # workers = 2: runs with worker = 0 and worker = 1 at the same time

Every worker runs the whole body, with the range that `share` gives it. Where they have to wait for each other inside,
the third parameter is called `meetings`: the team gives it, for ``barrier.meet``. So the order of every sum, and with
it every bit of the result, depends on the number of workers alone.

Worker 0 is the thread that calls; the others are Python threads that wait for work, outside of Python's lock while a
kernel runs. Not Numba's own prange: there LLVM optimises the whole body, with all it calls, once more for each loop,
which made compiling several times longer. The price is some 10 microseconds a call. A thread that waits looks for
work for some 50 microseconds, since calls come in quick succession, then sleeps, so that other programs get the core.
"""

from __future__ import annotations

import _thread
import inspect
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.barrier import meeting_place, seen

# Looks at a flag before the thread sleeps; 25 ns each.
_LOOKS = 2000
# Flags lie so far apart that no two are in one cache line.
_APART = 16


class _Team:
    """Threads 1 ... n - 1 of n workers. A flag tells of a call and of its end; the lock beside it is what to sleep
    on."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._called, self._ended = (np.zeros(workers * _APART, np.int64) for _ in range(2))
        self._go, self._end = ([_thread.allocate_lock() for _ in range(workers)] for _ in range(2))
        for lock in (*self._go, *self._end):
            lock.acquire()
        self._meetings = meeting_place(workers)
        self._calls = 0
        self._job: tuple[Any, tuple[Any, ...]] | None = None
        self._failed: BaseException | None = None
        for worker in range(1, workers):
            threading.Thread(target=self._serve, args=(worker,), daemon=True, name=f"rnnlm-{worker}").start()

    def _serve(self, worker: int) -> None:
        go, end, place, call = self._go[worker], self._end[worker], worker * _APART, 0
        while True:
            call += 1
            seen(self._called, place, call, _LOOKS)
            go.acquire()
            if self._job is None:
                return
            kernel, arguments = self._job
            try:
                kernel(worker, self.workers, *arguments)
            except BaseException as error:
                self._failed = error
                self._call_off()
            self._ended[place] = call
            end.release()

    def _call_off(self) -> None:
        """One worker has failed and will not come to any meeting: nobody is to wait for it."""
        self._meetings[0] = 1 << 62

    def run(self, kernel: Any, meets: bool, arguments: tuple[Any, ...]) -> None:
        if meets:
            self._meetings[:] = 0
            arguments = (self._meetings, *arguments)
        self._job = (kernel, arguments)
        self._calls += 1
        for worker in range(1, self.workers):
            self._called[worker * _APART] = self._calls
            self._go[worker].release()
        try:
            kernel(0, self.workers, *arguments)
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
        for worker in range(1, self.workers):
            waits = True
            while waits:
                try:
                    seen(self._ended, worker * _APART, self._calls, _LOOKS)
                    self._end[worker].acquire()
                    waits = False
                except BaseException as error:  # Ctrl-C
                    thrown = error
        if thrown is not None:
            raise thrown

    def dismiss(self) -> None:
        self._job = None
        for worker in range(1, self.workers):
            self._go[worker].release()


_team: _Team | None = None
_in_use = threading.RLock()


def _forget() -> None:
    """After a fork the child has no threads but its own."""
    global _team, _in_use
    _team, _in_use = None, threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


_alone = meeting_place(1)


def _run(workers: int, kernel: Any, meets: bool, arguments: tuple[Any, ...]) -> None:
    global _team
    if workers == 1:
        kernel(0, 1, *((_alone, *arguments) if meets else arguments))
        return
    with _in_use:
        if _team is None or _team.workers != workers:
            if _team is not None:
                _team.dismiss()
            _team = _Team(workers)
        _team.run(kernel, meets, arguments)


def parallel(function: Callable[..., None]) -> Callable[..., None]:
    """Compile ``f(worker, workers, ...)``; the result is called as ``f(workers, ...)`` and runs every worker's
    share."""
    kernel = jit(function)
    meets = list(inspect.signature(function).parameters)[2:3] == ["meetings"]

    def call(workers: int, *arguments: Any) -> None:
        _run(workers, kernel, meets, arguments)

    call.__doc__ = function.__doc__
    call.kernel = kernel  # type: ignore[attr-defined]
    return call


def available_threads() -> int:
    """Cores that this process may use."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def threads_to_use(threads: int | str) -> int:
    """The number of workers for `threads` ("auto": all cores allowed); never more than cores."""
    return available_threads() if threads == "auto" else min(int(threads), available_threads())
