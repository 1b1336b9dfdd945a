"""Routines that kernels call by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from layouts import needs_pairs
from numba import types
from numba.core.codegen import CPUCodeLibrary
from numba.extending import overload

from rnnlm.kernels import cache, symbols
from rnnlm.kernels.jit import jit
from rnnlm.kernels.symbols import Routine, call_by_name

_numba: Any = numba.config
_levels: list[int] = []


def _note(x):
    raise NotImplementedError("for kernels only")


@overload(_note)
def _note_impl(x):
    _levels.append(int(_numba.OPT))
    return lambda x: x


def _fill(kind, to, value):
    numba.carray(to, (2,))[1] = _note(value)


FILL = Routine("test_fill", lambda kind: [kind, types.CPointer(kind), kind], _fill)
_call_fill = call_by_name(FILL)


def fill(x, value):
    _call_fill(x.dtype.type(0), x, value)


def test_a_routine_is_compiled_with_the_kernel_that_calls_it_and_as_if_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    level = int(_numba.OPT)
    optimise, levels = CPUCodeLibrary._optimize_final_module, list[int]()

    def noted(library: Any) -> None:
        if library.name == "_fill":
            levels.append(int(_numba.OPT))
        optimise(library)

    monkeypatch.setattr(CPUCodeLibrary, "_optimize_final_module", noted)
    inner = jit(fill)
    outer = jit(eval("lambda x, value: inner(x, value)", {"inner": inner}))
    x = np.zeros(2)
    assert FILL.symbol(types.float64) not in symbols._loaded
    outer(x, 3.0)
    assert x.tolist() == [0, 3]
    assert _levels == [level]  # inside a kernel others have a lower one
    assert levels == [level]  # also when LLVM works at it
    assert int(_numba.OPT) == level
    assert FILL.symbol(types.float64) in symbols.named_in(outer.overloads[outer.signatures[0]].library)


def compiled_and_read(program: str, folder: Path) -> list[list[str]]:
    """The lines that a program prints when it compiles, and when it reads what it has compiled."""
    script = folder / "script.py"
    script.write_text(program)
    printed = []
    for _ in range(2):
        made = subprocess.run(
            [sys.executable, str(script)], env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        printed.append(made.stdout.splitlines())
    return printed


LINEAR = """
import numpy as np
from rnnlm.kernels import symbols
from rnnlm.kernels.matmul import linear
from rnnlm.kernels.matmul.layout import BFloat16Pairs
from rnnlm.kernels.workspace import Context, Workspace
for layout in (Workspace(np.float32), Workspace(np.float32, BFloat16Pairs)):
    x, w = (np.random.default_rng(0).normal(size=shape).astype(np.float32) for shape in ((5, 9), (9, 7)))
    y = np.zeros((5, 7), np.float32)
    linear.forward(x, w, np.zeros(7, np.float32), y, Context(layout, 1))
    print(y.tobytes().hex())
print(linear._forward.kernel.stats.cache_misses == {}, sorted(symbols._loaded))
"""


@needs_pairs
def test_a_kernel_that_is_read_from_the_cache_brings_its_routines(tmp_path: Path) -> None:
    """Nobody else loads them: without them the process would end."""
    compiled, read = compiled_and_read(LINEAR, tmp_path)
    assert compiled[:2] == read[:2]
    assert compiled[0] != compiled[1]
    assert compiled[2].startswith("False")
    assert read[2] == compiled[2].replace("False", "True")
    assert "rows_uint32" in read[2]


ROUTINES = """
import numba
import numpy as np
from numba import types
from numba.core.codegen import CPUCodeLibrary
from rnnlm.kernels.jit import jit
from rnnlm.kernels.symbols import Routine, call_by_name


def arguments(kind):
    return [kind, types.CPointer(kind)]


def inner(kind, to):
    numba.carray(to, (2,))[1] = 3


call_inner = call_by_name(Routine("inner", arguments, inner))


def outer(kind, to):
    call_inner(kind, numba.carray(to, (2,)))


call_outer = call_by_name(Routine("outer", arguments, outer))


@jit
def fill(x):
    call_outer(x.dtype.type(0), x)


x = np.zeros(2)
fill(x)
print(x.tolist())
"""


def test_a_routine_may_call_another(tmp_path: Path) -> None:
    assert compiled_and_read(ROUTINES, tmp_path) == [["[0.0, 3.0]"]] * 2
    assert {path.name.split("-")[0] for path in tmp_path.glob("*.nbc")} == {
        "__main__.fill", "__main__.inner", "__main__.outer"
    }  # fmt: skip


INVERSE = """
import numpy as np
from numba.core.registry import cpu_target
from rnnlm.kernels.jit import jit

refreshed = []
context = cpu_target.target_context
refresh = context.refresh
context.refresh = lambda: (refreshed.append(1), refresh())


@jit
def double(x):
    return x + x


@jit
def inverse(x):
    return np.linalg.inv(x)


double(np.ones(3))
print(len(refreshed))
print(np.abs(inverse(np.eye(3) * 4)).tolist())
"""


def test_code_that_is_read_needs_nothing_of_what_numba_can_compile(tmp_path: Path) -> None:
    compiled, read = compiled_and_read(INVERSE, tmp_path)
    assert compiled[0] != "0"
    assert read[0] == "0"
    assert compiled[1] == read[1] == "[[0.25, 0.0, 0.0], [0.0, 0.25, 0.0], [0.0, 0.0, 0.25]]"


def test_numba_is_refreshed_where_a_name_is_not_known() -> None:
    class Context:
        refreshed = 0

        def refresh(self) -> None:
            self.refreshed += 1

    jit(lambda x: x + 1)(1)
    context = Context()
    symbols.load(["PyErr_SetString", "NRT_Free", "rnnlm_yield"], context)
    assert context.refreshed == 0
    symbols.load(["PyErr_SetString", "no_such_name"], context)
    assert context.refreshed == 1
