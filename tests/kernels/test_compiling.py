"""What holds while a kernel is compiled, and no longer."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError
from numba.extending import overload

from rnnlm.kernels.jit import jit

_numba: Any = numba.config
_seen: list[tuple[bool, int]] = []


def _note(x):
    raise NotImplementedError("for kernels only")


@overload(_note)
def _note_impl(x):
    _seen.append((gc.isenabled(), int(_numba.OPT)))
    return lambda x: x


def _taken_in(x):
    return _note(x) + 1


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    _seen.clear()
    gc.enable()
    yield
    gc.enable()


def test_the_collector_rests_and_inner_functions_are_optimised_a_little() -> None:
    level = int(_numba.OPT)
    inner = jit(_taken_in)
    outer = jit(eval("lambda x: inner(x)", {"inner": inner}))
    assert outer(np.float32(1)) == 2
    assert _seen == [(False, 1)]
    assert gc.isenabled()
    assert int(_numba.OPT) == level


def test_both_are_as_before_when_compiling_fails() -> None:
    level = int(_numba.OPT)
    inner = jit(lambda x: x.no_such_field)
    with pytest.raises(TypingError):
        jit(eval("lambda x: inner(x)", {"inner": inner}))(np.float32(1))
    assert gc.isenabled()
    assert int(_numba.OPT) == level


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    assert jit(eval("lambda x: inner(x)", {"inner": jit(_taken_in)}))(np.float64(1)) == 2
    assert _seen == [(False, 1)]
    assert not gc.isenabled()
