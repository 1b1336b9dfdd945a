"""The kernels as they are compiled for other processors: narrower vectors, fewer registers."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from rnnlm.kernels import cpu

TESTS = Path(__file__).resolve().parents[1]
AVX2 = "+avx2,+fma,+avx,+sse4.2,+sse4.1,+ssse3,+sse3,+sse2,+sse,+cmov,+cx8,+fxsr,+mmx,+x87,+popcnt,+bmi,+bmi2"
SSE2 = "+sse2,+sse,+cmov,+cx8,+fxsr,+mmx,+x87"


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names processors of another kind")
@pytest.mark.parametrize(("name", "features"), [("haswell", AVX2), ("x86-64", SSE2)])
def test_products_and_softmax(name: str, features: str, tmp_path: Path) -> None:
    settings = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "XDG_CACHE_HOME": str(tmp_path)}
    files = [
        str(TESTS / "kernels" / "matmul"),
        str(TESTS / "network" / "outputs"),
        str(TESTS / "network" / "test_decoder.py"),
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings}, cwd=TESTS.parent)
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_second_cache_is_what_the_system_says(tmp_path: Path) -> None:
    """A megabyte where it says nothing, or nothing that is a size."""
    place = tmp_path / "size"
    assert cpu.second_cache(place) == 1 << 20
    for said, wanted in (("2048K\n", 2 << 20), ("512K\n", 1 << 20), ("0K", 1 << 20), ("", 1 << 20), ("2M", 1 << 20)):
        place.write_text(said)
        assert cpu.second_cache(place) == wanted
    place.write_bytes(b"\xff\xfeK")
    assert cpu.second_cache(place) == 1 << 20
