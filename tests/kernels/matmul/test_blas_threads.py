"""The BLAS of NumPy and SciPy has one thread while we compute, and its own number of threads afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rnnlm.kernels.matmul.blas_threads import _libraries, one_blas_thread


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """Whatever the environment of the tests says."""
    libraries = _libraries()
    if not libraries:
        pytest.skip("NumPy and SciPy have another BLAS than OpenBLAS")
    before = numbers()
    for _, put in libraries:
        put(2)
    yield
    for (_, put), number in zip(libraries, before, strict=True):
        put(number)


def numbers() -> list[int]:
    return [get() for get, _ in _libraries()]


def test_inside_and_afterwards() -> None:
    with one_blas_thread():
        assert set(numbers()) == {1}
        with one_blas_thread():
            assert set(numbers()) == {1}
        assert set(numbers()) == {1}
    assert set(numbers()) == {2}


def test_after_an_error() -> None:
    with pytest.raises(ValueError, match="x"), one_blas_thread():
        raise ValueError("x")
    assert set(numbers()) == {2}


def test_blocks_of_two_threads_that_end_in_any_order() -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with one_blas_thread():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with one_blas_thread():
        thread.start()
        inside.wait(60)
    assert set(numbers()) == {1}, "the other one is not done"
    leave.set()
    thread.join()
    assert set(numbers()) == {2}
