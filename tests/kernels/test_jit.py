"""Threads, shares of work, and the folder of compiled code."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import Thread


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
@pytest.mark.parametrize("total", [0, 1, 2, 15, 16, 17, 100, 1001])
@pytest.mark.parametrize("grain", [1, 16])
def test_shares_cover_everything_once(workers: int, total: int, grain: int) -> None:
    covered = []
    for worker in range(workers):
        start, stop = partition(Thread(worker, workers, np.empty(0, np.int64)), total, grain)
        assert start % grain == 0 or start == total
        covered += range(start, stop)
    assert covered == list(range(total))


def cache_folder(**environment: str) -> str:
    code = "from rnnlm.kernels import jit; import numba; print(numba.config.CACHE_DIR)"
    keep = {key: value for key, value in os.environ.items() if key not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    found = subprocess.run(
        [sys.executable, "-c", code], env={**keep, **environment}, capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def test_compiled_code_lies_in_the_users_cache(tmp_path: Path) -> None:
    found = Path(cache_folder(XDG_CACHE_HOME=str(tmp_path)))
    assert found.parent == tmp_path / "rnnlm" / "kernels"
    assert found.is_dir()


def test_a_cache_of_the_users_own_choice_is_left_alone(tmp_path: Path) -> None:
    assert cache_folder(NUMBA_CACHE_DIR=str(tmp_path)) == str(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_place_to_write(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert str(tmp_path) not in cache_folder(XDG_CACHE_HOME=str(tmp_path))


def test_a_file_in_place_of_the_cache(tmp_path: Path) -> None:
    (tmp_path / "rnnlm").write_text("")
    assert str(tmp_path) not in cache_folder(XDG_CACHE_HOME=str(tmp_path))


def test_old_caches_are_removed_and_new_ones_kept(tmp_path: Path) -> None:
    old, recent = tmp_path / "rnnlm" / "kernels" / "old", tmp_path / "rnnlm" / "kernels" / "recent"
    for folder in (old, recent):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    cache_folder(XDG_CACHE_HOME=str(tmp_path))
    assert not old.exists()
    assert recent.exists()
