"""The thread pool and its barrier: everyone has a turn, nobody runs ahead, and a failure is heard of."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba import types
from numba.extending import intrinsic

from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel import handover
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.thread_pool import available_threads, parallel, threads_to_use


def _printed(code: str) -> str:
    """What a process prints that has this file's kernels to import."""
    code = "import sys; sys.path.insert(0, 'tests/kernels/parallel'); import numpy as np\n" + code
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    return found.stdout


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


def test_one_thread_that_fails_ends_the_call() -> None:
    with pytest.raises(ValueError, match="on purpose"):
        fail(1, 0)


def test_threads_that_sleep_are_woken() -> None:
    seen = np.zeros(3, np.int64)
    for _ in range(5):
        sign_in(3, seen)
        time.sleep(0.02)  # a hundred times what a thread looks for work
    assert seen.tolist() == [15, 15, 15]


def test_ctrl_c_at_any_time_leaves_the_next_call_whole() -> None:
    """Pressed a few hundred times, while threads work, look for work, sleep and are woken."""
    code = (
        "import _thread, signal, threading, time\n"
        "from test_thread_pool import pass_on, sign_in\n"
        "numbers, seen = np.zeros((2, 2), np.int64), np.zeros(2, np.int64)\n"
        "pass_on(2, numbers, 2); sign_in(2, seen)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background ignores it
        "end, presses, calls = time.monotonic() + 2, 0, 0\n"
        "def press():\n"
        "    generator = np.random.default_rng(0)\n"
        "    while time.monotonic() < end:\n"
        "        time.sleep(generator.uniform(0.0005, 0.003)); _thread.interrupt_main()\n"
        "threading.Thread(target=press).start()\n"
        "while time.monotonic() < end + 0.1:\n"
        "    try:\n"
        "        numbers[:] = 0; pass_on(2, numbers, 40); assert (numbers[0] == 40).all(), numbers\n"
        "        calls += 1; sign_in(2, seen)\n"
        "        if calls % 10 == 0: time.sleep(0.0004)\n"
        "    except KeyboardInterrupt:\n"
        "        presses += 1\n"
        "seen[:] = 0; sign_in(2, seen); assert seen.tolist() == [2, 2]; assert presses > 50, presses\n"
        "assert threading.active_count() < 10, threading.active_count(); print(calls > 100)"
    )
    assert _printed(code) == "True\n"


def test_kernels_run_in_a_handler_at_exit() -> None:
    code = (
        "import atexit\n"
        "def late():\n"
        "    seen = np.zeros(2, np.int64); sign_in(2, seen); print(seen.tolist(), flush=True)\n"
        "atexit.register(late)\n"
        "from test_thread_pool import sign_in\n"
        "sign_in(2, np.zeros(2, np.int64))"
    )
    assert _printed(code) == "[2, 2]\n"


@parallel
def kernel(thread, lead):
    """Names that the handing over has too."""
    lead[thread.number] = 1


def test_a_kernel_may_have_any_name() -> None:
    seen = np.zeros(2)
    kernel(2, seen)
    assert seen.tolist() == [1, 1]


def test_no_thread_is_refused() -> None:
    with pytest.raises(ValueError, match="threads: found 0; must be at least 1"):
        sign_in(0, np.zeros(1, np.int64))


def test_threads_end_with_their_pool() -> None:
    def running() -> set[str]:
        return {thread.name for thread in threading.enumerate() if thread.name.startswith("rnnlm-")}

    for count in (4, 2):  # some asleep, and some that still look for work
        sign_in(count, np.zeros(count, np.int64))
        time.sleep(0.02 if count == 4 else 0)
    deadline = time.monotonic() + 10
    while running() != {"rnnlm-1"} and time.monotonic() < deadline:
        time.sleep(0.001)
    assert running() == {"rnnlm-1"}


def test_barriers_after_a_failure_are_as_before() -> None:
    with pytest.raises(ValueError, match="on purpose"):
        fail(3, 1)
    test_barriers_keep_all_in_step(3)


class Two(NamedTuple):
    """Arrays in a kernel's argument."""

    row: np.ndarray
    table: np.ndarray


@parallel
def add_up(thread, number, first, flag, second, sums):
    """Arguments of all kinds."""
    total = np.float64(number) + first.row[thread.number] + second.table[1, thread.number]
    if flag:
        total += 100 * first.table[0, thread.number] + second.row[0]
    sums[thread.number] = total


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.25), 7])
@pytest.mark.parametrize("flag", [True, False])
def test_every_thread_has_all_arguments(threads: int, number: Any, flag: bool) -> None:
    first = Two(np.arange(3, dtype=np.float32), np.arange(6).reshape(2, 3))
    second = Two(np.full(1, 1000, np.int32), np.full((2, 4), 10_000.0)[:, 1:])
    sums = np.zeros(threads)
    add_up(threads, number, first, flag, second, sums)
    assert sums.tolist() == [float(number) + i + 10_000 + flag * (100 * i + 1000) for i in range(threads)]


@intrinsic
def counter(typingctx, array):  # type: ignore[no-untyped-def]
    """Where references to an array are counted; 0: nowhere."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        found = context.make_array(signature.args[0])(context, builder, args[0]).meminfo
        return builder.ptrtoint(found, context.get_value_type(types.intp))

    return types.intp(array), codegen


@parallel
def note_counters(thread, one_byte, bytes_, pair, sums, counters):
    """Arrays whose numbers have the type of a counter's place, bytes, are among them."""
    own = counters[thread.number]
    own[0], own[1], own[2] = counter(one_byte), counter(bytes_), counter(pair.row)
    own[3], own[4] = counter(pair.table[thread.number]), counter(sums)
    sums[thread.number] = one_byte[()] + bytes_[thread.number] + pair.row[0] + pair.table[thread.number, 1]


@pytest.mark.parametrize("threads", [1, 2])
def test_kernels_count_no_references_to_what_they_are_given(threads: int) -> None:
    pair = Two(np.full(2, -56, np.int8), np.arange(6).reshape(2, 3))
    sums, counters = np.zeros(threads), np.ones((threads, 5), np.intp)
    note_counters(threads, np.array(5, np.uint8), np.array([10, 20], np.uint8), pair, sums, counters)
    assert not counters.any()
    assert sums.tolist() == [5 + 10 - 56 + 1, 5 + 20 - 56 + 4][:threads]


def test_a_function_that_python_calls_counts_them() -> None:
    assert jit(lambda array: counter(array))(np.zeros(2)) != 0


def test_more_arguments_than_there_is_room_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(thread, array):  # type: ignore[no-untyped-def]
        array[thread.number] = 1

    monkeypatch.setattr(handover, "ROOM_SIZE", 15)  # a number and two arrays take 2 + 2 x 7
    with pytest.raises(NotImplementedError, match="more arguments than there is room for"):
        parallel(take)(2, np.zeros(2))


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
        "import os\n"
        "from test_thread_pool import sign_in\n"
        "sign_in(2, np.zeros(3, np.int64)); child = os.fork()\n"
        "seen = np.zeros(2, np.int64); sign_in(2, seen); assert seen.tolist() == [2, 2]\n"
        "if child == 0: os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0; print('both')"
    )
    assert _printed(code) == "both\n"
