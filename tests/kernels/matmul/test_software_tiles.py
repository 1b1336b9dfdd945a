"""What is written for AMX, on a processor that need not have it: its tests again, with tiles in software."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from layouts import needs_pairs

TESTS = Path(__file__).resolve().parents[2]
SOFTWARE = TESTS / "software_tiles"
pytestmark = [
    needs_pairs,  # whose instructions round for tiles too
    pytest.mark.skipif("software_tiles" in sys.modules, reason="they are in place already"),
]


def run(*places: str) -> None:
    """The tests of tiles in these files and folders."""
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-o", "addopts=", "--import-mode=importlib", "-qrs"]
    path = [str(SOFTWARE), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = subprocess.run(
        [*command, "-k", "tiles or amx", *places],
        capture_output=True, text=True, cwd=TESTS.parent, env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-2000:]
    assert "passed" in found.stdout.splitlines()[-1]
    assert "no AMX" not in found.stdout


def numbers(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.int64) << 16 & 0xFFFFFFFF).astype(np.uint32).view(np.float32)


def test_the_software_itself() -> None:
    """A product, and what the unit would refuse."""
    spec = importlib.util.spec_from_file_location("tiles", SOFTWARE / "software_tiles.py")
    assert spec
    assert spec.loader
    tiles = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiles)
    for name in ("_float", "_bits", "_refuse"):  # a module that only this test knows cannot be read from the cache
        setattr(tiles, name, getattr(tiles, name).py_func)
    unit, sizes = np.zeros(tiles._SIZE, np.int32), np.zeros(64, np.uint8)
    generator = np.random.default_rng(0)
    a = generator.integers(0x3F00, 0x4000, (5, 14), np.uint16)  # numbers from 0.5 to 2
    b = generator.integers(0x3F00, 0x4000, (14, 3), np.uint16)
    found = np.zeros((5, 3), np.int32)
    for tile, (rows, row_bytes) in enumerate(((5, 12), (5, 28), (7, 12), (6, 12))):
        sizes[48 + tile] = rows
        sizes[16 + 2 * tile : 18 + 2 * tile] = row_bytes, 0

    def multiply(b_tile: int) -> np.ndarray:
        tiles._ldtilecfg(unit, sizes.view(np.int32), 0, 0, 0)
        tiles._tilezero(unit, found.reshape(-1), 0, 0, 0)
        tiles._tileloadd64(unit, np.ascontiguousarray(a).view(np.int32).reshape(-1), 1, 0, 28)
        pairs = np.ascontiguousarray(b.reshape(7, 2, 3).transpose(0, 2, 1)).view(np.int32)
        tiles._tileloadd64(unit, pairs.reshape(-1), b_tile, 0, 12)
        tiles._tdpbf16ps(unit, found.reshape(-1), 0, 8 * 1 + b_tile, 0)
        tiles._tilestored64(unit, found.reshape(-1), 0, 0, 12)
        return found.view(np.float32)

    np.testing.assert_allclose(multiply(2), numbers(a) @ numbers(b), rtol=1e-6)
    assert np.isnan(multiply(3)).all(), "A has 7 pairs of k, B 6"
    tiles._tilerelease(unit, found.reshape(-1), 0, 0, 0)
    found[:] = 0
    tiles._tilestored64(unit, found.reshape(-1), 0, 0, 12)
    assert np.isnan(found.view(np.float32)[0, 0]), "of no size"


def test_products() -> None:
    run("tests/kernels/matmul/test_gemm.py", "tests/kernels/matmul/test_layout.py")


@pytest.mark.slow
def test_networks() -> None:
    run("tests/kernels", "tests/network", "tests/gradients", "tests/training")
