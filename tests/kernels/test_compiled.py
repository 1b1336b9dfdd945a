"""The files of compiled code: what is damaged, missing, foreign or written by many at once."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba.core.errors import TypingError

from rnnlm.kernels import cache, compiled
from rnnlm.kernels.jit import jit


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    return tmp_path


def double(x):
    return x + x


def twice() -> Any:
    """A dispatcher that has compiled nothing."""
    return jit(double)


def code_files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def counts(dispatcher: Any) -> tuple[int, int]:
    return sum(dispatcher.stats.cache_hits.values()), sum(dispatcher.stats.cache_misses.values())


def test_what_is_compiled_is_read_by_the_next(folder: Path) -> None:
    first, second = twice(), twice()
    assert first(2.0) == 4.0
    assert len(code_files(folder)) == 1
    assert second(3.0) == 6.0
    assert (counts(first), counts(second)) == ((0, 1), (1, 0))
    assert second(3) == 6
    assert len(code_files(folder)) == 2


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, None, "cut", "flip"], ids=str)
def test_a_damaged_file_is_compiled_anew(folder: Path, damage: Any) -> None:
    twice()(2.0)
    (path,) = code_files(folder)
    whole = path.read_bytes()
    if damage is None:
        path.unlink()
        path.mkdir()
    elif damage == "cut":
        path.write_bytes(whole[:-1])
    elif damage == "flip":
        path.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    else:
        path.write_bytes(damage)
    if damage is None:  # a folder stands in the way, so that nothing can be written either
        with pytest.warns(RuntimeWarning, match="compiled code is not kept"):
            assert twice()(2.0) == 4.0
        return
    assert twice()(2.0) == 4.0
    again = twice()
    assert again(2.0) == 4.0
    assert counts(again) == (1, 0)


def test_a_full_disk_is_told_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*anything: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    compiled._say_once.cache_clear()
    monkeypatch.setattr(os, "replace", full)
    dispatcher = twice()
    with pytest.warns(RuntimeWarning) as found:
        assert (dispatcher(2.0), dispatcher(2), dispatcher(np.float32(2))) == (4.0, 4, 4)
    assert [str(warning.message) for warning in found] == [
        f"compiled code is not kept: {folder}: No space left on device"
    ]
    assert code_files(folder) == []


class Pair(NamedTuple):
    a: float
    b: float


def other() -> type:
    class Pair(NamedTuple):
        a: float
        b: float

    return Pair


def test_tuples_of_one_name_are_not_mistaken(folder: Path) -> None:
    def sum_of(pair):
        return pair.a + pair.b

    assert jit(sum_of)(Pair(1.0, 2.0)) == 3.0
    again = jit(sum_of)
    assert again(other()(1.0, 2.0)) == 3.0
    assert counts(again) == (0, 1)


PROGRAM = """
import sys
from rnnlm.kernels.matmul import gemm, linear, pack
from rnnlm.kernels.workspace import Workspace
import numpy as np
for dtype in sys.argv[1:]:
    x = np.ones((3, 4), dtype)
    linear.pack(x, Workspace(np.dtype(dtype)).panels("x", *x.shape))
"""


def test_processes_that_compile_at_once_keep_all(tmp_path: Path) -> None:
    """With one index for all types the last writer's entry was the only one that was left."""
    keep = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    keep.pop("NUMBA_CACHE_DIR", None)
    types = ("float32", "float64")
    running = [subprocess.Popen([sys.executable, "-c", PROGRAM, name], env=keep) for name in types * 2]
    assert [process.wait() for process in running] == [0] * 4
    names = [path.name for path in (tmp_path / "rnnlm" / "compiled").rglob("*") if path.is_file()]
    assert len(names) == len({name for name in names if name.endswith(".nbc")})
    before = sorted(names)
    subprocess.run([sys.executable, "-c", PROGRAM, *types], env=keep, check=True)
    assert sorted(path.name for path in (tmp_path / "rnnlm" / "compiled").rglob("*") if path.is_file()) == before


def test_nobody_waits_for_what_cannot_be_compiled(folder: Path) -> None:
    def wrong(x):
        return x.no_such_field

    with pytest.raises(TypingError):
        jit(wrong)(2.0)
    assert code_files(folder) == []
