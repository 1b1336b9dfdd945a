"""The ranks of an MPI job, with collectives that wait without taking a core for themselves.

MPI libraries look for messages all the time that they wait. Ranks wait for each other in every update, and for long
in a validation or a checkpoint, on a machine that may have fewer cores than ranks; so a rank looks, gives the core
away, and after a while sleeps between two looks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.kernels.parallel.thread_pool import available_threads, threads_to_use

Array = NDArray[Any]

_BUSY = 1.0  # seconds of waiting after which it sleeps; what is large travels only while MPI looks
_IDLE = 0.02  # the same, for an order
_NAP = 0.0005  # seconds
_yield = getattr(os, "sched_yield", lambda: time.sleep(0))


class Order(IntEnum):
    """What the leader has the others do."""

    END = 0
    TRAIN = 1  # share a run
    UPDATE = 2
    LOSSES = 3  # send the losses since the last time
    SPEEDS = 4  # send the time that it took
    STATES = 5  # send the states of its streams
    AVERAGE = 6  # average the weights
    WEIGHTS = 7  # take those of the leader
    WORK = 8  # receive what is to be done with each part (``sharing``)
    PARTS = 9  # do it with a part, and send the result


class Ranks:
    """All ranks of the job, as one of them sees them.

    Attributes:
        rank, size: this one's number, and how many there are.
        machine: the name of its machine; machines: how many there are.
        free: whether the others wait for an order; false while they follow one, and within an update.
        waited: seconds that it has waited for others.
    """

    def __init__(self, world: Any) -> None:
        self._world = world
        self.rank, self.size = int(world.rank), int(world.size)
        self.machine = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
        self.free = True
        self.waited = 0.0
        cores = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()
        places = self.all((self.machine, cores))
        self.machines = len({machine for machine, _ in places})
        on_same_cores = places.count((self.machine, cores))
        self._threads = max(1, available_threads() // on_same_cores)

    def threads_for(self, wanted: int | str) -> int:
        """The number of threads of this rank, for ``train.threads``. auto: ranks that may run on the same cores share
        them out."""
        return self._threads if wanted == "auto" else threads_to_use(wanted)

    # -- waiting

    def wait(self, requests: list[Any], busy: float = _BUSY) -> None:
        """Until these requests have ended. busy: seconds after which it sleeps between two looks."""
        began = now = time.perf_counter()
        test = requests[0].Testall
        while not test(requests):
            if now - began > busy:
                time.sleep(_NAP)
            else:
                _yield()
            now = time.perf_counter()
        self.waited += now - began

    # -- orders

    def order(self, what: Order, value: int = 0) -> None:
        """The leader has the others do something."""
        self.wait([self._world.Ibcast(np.array([what, value], np.int64))])

    @contextmanager
    def together(self, what: Order) -> Iterator[None]:
        """The leader has the others do something, and does its own part inside the block. An error there leaves them
        where no order reaches them: they wait for this rank."""
        self.free = False
        self.order(what)
        yield
        self.free = True

    def next_order(self) -> tuple[Order, int]:
        """What the leader has this rank do."""
        told = np.empty(2, np.int64)
        self.wait([self._world.Ibcast(told)], _IDLE)
        return Order(int(told[0])), int(told[1])

    # -- Python objects

    def send(self, value: Any, to: int) -> None:
        """Send an object to another rank, which takes it with `receive`."""
        self.wait([self._world.isend(value, to)])

    def receive(self, sender: int) -> Any:
        """The object that another rank sends."""
        began = time.perf_counter()
        while (message := self._world.improbe(sender)) is None:
            time.sleep(_NAP)
        self.waited += time.perf_counter() - began
        return message.recv()

    def gathered(self, value: Any) -> list[Any]:
        """Every rank's object at the leader, by rank; empty elsewhere."""
        if self.rank > 0:
            self.send(value, 0)
            return []
        return [value, *(self.receive(rank) for rank in range(1, self.size))]

    def all(self, value: Any) -> list[Any]:
        """Every rank's object, by rank, at every rank."""
        if self.rank > 0:
            self.send(value, 0)
            found: list[Any] = self.receive(0)
            return found
        found = self.gathered(value)
        for rank in range(1, self.size):
            self.send(found, rank)
        return found

    # -- arrays

    def broadcast(self, array: Array) -> None:
        """Every rank has the leader's array, in place."""
        self.wait([self._world.Ibcast(array)])

    def begin_sum(self, array: Array) -> Any:
        """Begin to add up the arrays of all ranks, in place; the request to `wait` for."""
        from mpi4py import MPI

        return self._world.Iallreduce(MPI.IN_PLACE, array)

    def begin_exchange(self, sent: Array, received: Array) -> Any:
        """Begin to send row r of an array to rank r, and to receive a row from each; the request."""
        return self._world.Ialltoall(sent, received)

    def begin_gather(self, own: Array, all_of_them: Array) -> Any:
        """Begin to send an array to all ranks, and to receive theirs as rows; the request."""
        return self._world.Iallgather(own, all_of_them)

    def rows(self, own: Array) -> list[Array]:
        """The arrays of all ranks, which may differ in their first axis."""
        counts = np.empty(self.size, np.int64)
        self.wait([self._world.Iallgather(np.array([len(own)], np.int64), counts)])
        received = np.empty((int(counts.sum()), *own.shape[1:]), own.dtype)
        width = int(np.prod(own.shape[1:]))
        self.wait([self._world.Iallgatherv(np.ascontiguousarray(own), [received, (counts * width).tolist()])])
        return np.split(received, np.cumsum(counts)[:-1])
