"""The words that the threads of a pool share, and what stands where.

    COUNT           arrivals at the barrier, of all threads
    BODY            the address of the kernel that is called, as the other threads call it (``handover``)
    CLAIM, SETTLE   the addresses of what keeps the other threads awake, and of what waits for them (``handover``)
    AWAKE           whether none of them slept when the last kernel was called
    STATUS, ERROR   what a thread that failed came to: Numba's status and exception; 0 where all went well
    ROOM            the kernel's arguments
    own(n)          arrivals of thread n at the barrier
    state(n)        of thread n: IDLE, ASLEEP, CLAIMED, BUSY or STOPPED

What one thread writes again and again is two cache lines away from what another does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.kernels.jit import jit

_APART = 16
COUNT = 0
BODY, CLAIM, SETTLE, AWAKE, STATUS, ERROR = (_APART + i for i in range(6))
ROOM = 2 * _APART
# Words of the arguments of a kernel: an array takes seven or more, and kernels have up to some fifty.
ROOM_SIZE = 2048
_THREADS = ROOM + ROOM_SIZE

# A thread that waits for a call and looks for it; that sleeps until it is woken; that does not go to sleep any more,
# for it is about to be called; that works; that is to end.
IDLE, ASLEEP, CLAIMED, BUSY, STOPPED = range(5)


class Thread(NamedTuple):
    """What a kernel knows of the thread that runs it."""

    number: int  # from 0; ``handover.ALL`` for whoever calls several
    threads: int  # that run the kernel
    words: np.ndarray  # that they share


def new(threads: int) -> NDArray[np.int64]:
    """Words of a pool in which nobody has arrived and all are idle."""
    return np.zeros(_THREADS + threads * 2 * _APART, np.int64)


@jit
def own(number):
    """The place of a thread's arrivals."""
    return _THREADS + number * 2 * _APART


@jit
def state(number):
    """The place of a thread's state."""
    return _THREADS + number * 2 * _APART + _APART
