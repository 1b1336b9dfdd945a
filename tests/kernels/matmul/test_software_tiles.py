"""What is written for AMX, on a processor that need not have it: its tests again, with tiles in software."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
    found = subprocess.run(
        [*command, "-k", "tiles or amx", *places],
        capture_output=True, text=True, cwd=TESTS.parent, env={**os.environ, "PYTHONPATH": str(SOFTWARE)},
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-2000:]
    assert "passed" in found.stdout.splitlines()[-1]
    assert "no AMX" not in found.stdout


def test_products() -> None:
    run("tests/kernels/matmul/test_gemm.py", "tests/kernels/matmul/test_layout.py")


@pytest.mark.slow
def test_networks() -> None:
    run("tests/kernels", "tests/network", "tests/gradients", "tests/training")
