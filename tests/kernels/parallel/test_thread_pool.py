"""The thread pool and its barrier: everyone has a turn, nobody runs ahead, and a failure is heard of."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.thread_pool import available_threads, parallel, threads_to_use


def test_threads_to_use() -> None:
    assert threads_to_use(1) == 1
    assert threads_to_use("auto") == available_threads() >= 1
    assert threads_to_use(100_000) == available_threads()


@parallel
def sign_in(thread, seen):
    seen[thread.number] += thread.threads


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_every_thread_runs_once(threads: int) -> None:
    seen = np.zeros(threads + 1, np.int64)
    for _ in range(50):
        sign_in(threads, seen)
    assert seen.tolist() == [50 * threads] * threads + [0]


@parallel
def pass_on(thread, numbers, rounds):
    """In every round each thread takes its left neighbour's number of the round before."""
    for i in range(rounds):
        left = numbers[i % 2, (thread.number - 1) % thread.threads]
        numbers[(i + 1) % 2, thread.number] = left + 1
        wait(thread)


@pytest.mark.parametrize("threads", [1, 2, 3])  # more than there are cores, too
def test_barriers_keep_all_in_step(threads: int) -> None:
    rounds = 500
    numbers = np.zeros((2, threads), np.int64)
    numbers[0] = 1000 * np.arange(threads)
    pass_on(threads, numbers, rounds)
    wanted = [1000 * ((number - rounds) % threads) + rounds for number in range(threads)]
    assert numbers[rounds % 2].tolist() == wanted


@parallel
def fail(thread, who):
    if thread.number == who:
        raise ValueError("on purpose")
    wait(thread)


@pytest.mark.parametrize("who", [0, 1, 2])
def test_a_thread_that_fails_ends_the_call(who: int) -> None:
    for _ in range(3):
        with pytest.raises(ValueError, match="on purpose"):
            fail(3, who)
    seen = np.zeros(3, np.int64)
    sign_in(3, seen)
    assert seen.tolist() == [3, 3, 3]


def test_calls_from_several_threads() -> None:
    seen = [np.zeros(2, np.int64) for _ in range(4)]

    def work(own: np.ndarray) -> None:
        for _ in range(100):
            sign_in(2, own)

    threads = [threading.Thread(target=work, args=(own,)) for own in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(own.tolist() == [200, 200] for own in seen)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_a_pool_of_its_own() -> None:
    code = (
        "import os, sys; sys.path.insert(0, 'tests/kernels/parallel'); import numpy as np\n"
        "from test_thread_pool import sign_in\n"
        "sign_in(2, np.zeros(3, np.int64)); child = os.fork()\n"
        "seen = np.zeros(2, np.int64); sign_in(2, seen); assert seen.tolist() == [2, 2]\n"
        "if child == 0: os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0; print('both')"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.stdout == "both\n", found.stderr
