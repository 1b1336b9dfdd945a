"""Which way bfloat16 is multiplied: by a fixed table, or as the user or the run says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from layouts import needs_tiles

from rnnlm.errors import InputError
from rnnlm.kernels import cpu
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul import amx
from rnnlm.kernels.matmul.choice import VARIABLE, choose
from rnnlm.kernels.matmul.gemm import multiply_rows
from rnnlm.kernels.matmul.layout import BFloat16Pairs, BFloat16Tiles, BFloat16x3Tiles, Numbers, depth, operand
from rnnlm.kernels.matmul.pack import fill_rows, pack_panels
from rnnlm.kernels.workspace import Workspace

LAYOUTS = {"amx": BFloat16Tiles, "avx512_bf16": BFloat16Pairs, "float32": Numbers}


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> object:
    """Makes this another processor, for the choice alone."""
    monkeypatch.delenv(VARIABLE, raising=False)

    def become(name: str, pairs: bool, tiles: bool, granted: bool = True) -> None:
        monkeypatch.setattr(cpu, "NAME", name)
        monkeypatch.setattr(cpu, "HAS_PAIRS", pairs)
        monkeypatch.setattr(cpu, "HAS_TILES", tiles)
        monkeypatch.setattr(amx, "permitted", lambda: granted)

    return become


@pytest.mark.parametrize(
    ("about", "name", "why"),
    [
        (("sapphirerapids", True, True), "amx", "the processor has AMX"),
        (
            ("sapphirerapids", True, True, False),
            "float32",
            "the system does not grant AMX, and its AVX512-BF16 is slo",
        ),
        (("cooperlake", True, False), "float32", "this processor has no AMX, and its AVX512-BF16 is slower than flo"),
        (("znver4", True, False), "avx512_bf16", "this processor has no AMX, but AVX512-BF16"),
        (("haswell", False, False), "float32", "this processor has no AMX, and it has no AVX512-BF16"),
    ],
)
def test_the_table(processor: object, about: tuple[object, ...], name: str, why: str) -> None:
    processor(*about)  # type: ignore[operator]
    found = choose("bfloat16")
    assert (found.name, found.layout) == (name, LAYOUTS[name])
    assert found.why.startswith(why)
    assert choose("float32").layout is choose("float64").layout is Numbers


def test_who_resumes_multiplies_as_before_or_not_at_all(processor: object, monkeypatch: pytest.MonkeyPatch) -> None:
    processor("znver4", True, False)  # type: ignore[operator]
    assert choose("bfloat16", "float32").name == "float32"
    with pytest.raises(
        InputError, match=r"products by amx, as this run has begun: this processor has no AMX; go on where"
    ):
        choose("bfloat16", "amx")
    monkeypatch.setenv(VARIABLE, "avx512_bf16")
    assert choose("bfloat16", "avx512_bf16").name == "avx512_bf16"
    with pytest.raises(InputError, match="this run has multiplied by float32 so far, .*unset it"):
        choose("bfloat16", "float32")


def test_one_that_is_forced(processor: object, monkeypatch: pytest.MonkeyPatch) -> None:
    processor("sapphirerapids", True, True)  # type: ignore[operator]
    for name, layout in LAYOUTS.items():
        monkeypatch.setenv(VARIABLE, name)
        assert choose("bfloat16") == (name, "RNNLM_MATMUL says so")
        assert choose("bfloat16").layout is layout
    assert choose("bfloat16x3").layout is BFloat16x3Tiles, "the precision says how"
    monkeypatch.setenv(VARIABLE, "sse")
    with pytest.raises(
        InputError, match="RNNLM_MATMUL=sse: no such way to multiply; it is one of amx, avx512_bf16, fl"
    ):
        choose("bfloat16")
    processor("sapphirerapids", True, True, False)  # type: ignore[operator]
    monkeypatch.setenv(VARIABLE, "amx")
    with pytest.raises(InputError, match="RNNLM_MATMUL=amx: the system does not grant AMX"):
        choose("bfloat16")


@jit
def product(a, rows, b, panels, c):
    fill_rows(a, 0, a.shape[1], rows)
    pack_panels(b, False, 0, c.shape[1], a.shape[1], panels)
    multiply_rows(operand(a, rows), depth(panels, a.shape[1]), panels, 0, c.shape[1], c, False)


def check_a_product() -> None:
    workspace = Workspace(np.float32, BFloat16Tiles)
    a, b, c = np.full((5, 40), 2, np.float32), np.full((40, 50), 3, np.float32), np.zeros((5, 50), np.float32)
    product(a, workspace.rows("a", 5, 40), b, workspace.panels("b", 40, 50), c)
    assert (c == 240).all()


@needs_tiles
def test_a_fork_may_use_tiles_too() -> None:
    check_a_product()
    child = os.fork()
    if child == 0:
        try:
            check_a_product()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@needs_tiles
def test_a_process_that_is_executed_asks_for_tiles_itself() -> None:
    """It reads from the cache what this one has compiled."""
    check_a_product()
    code = "import test_choice; assert test_choice.amx.permitted(); test_choice.check_a_product()"
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}
    )
    assert done.returncode == 0, done.stderr
