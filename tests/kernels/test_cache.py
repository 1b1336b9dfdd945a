"""The folder of compiled code: where it is, what names it, when it is made."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import pytest

from rnnlm import user_cache
from rnnlm.kernels import cache

PACKAGE = Path(cache.__file__).resolve().parents[1]


def run(code: str, **environment: str) -> str:
    """What a new process with these variables and no other choice of a folder prints."""
    keep = {key: value for key, value in os.environ.items() if key not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    found = subprocess.run(
        [sys.executable, "-c", code], env={**keep, **environment}, capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def cache_folder(**environment: str) -> str:
    return run("from rnnlm.kernels import cache; print(cache.folder())", **environment)


def test_compiled_code_lies_in_the_users_cache(tmp_path: Path) -> None:
    found = Path(cache_folder(XDG_CACHE_HOME=str(tmp_path)))
    assert found.parent == tmp_path / "rnnlm" / "compiled"
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


def test_a_folder_of_another_user_is_not_used(tmp_path: Path) -> None:
    """Compiled code is run. Everybody may write to the temporary folder, and can have left files there."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    no_home = tmp_path / "file"
    no_home.write_text("")
    places = {"XDG_CACHE_HOME": str(no_home), "TMPDIR": str(temporary)}
    found = Path(cache_folder(**places))
    private = found.parent
    assert private.parent == temporary
    assert private.stat().st_mode & 0o077 == 0
    private.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="compiled code is not kept"):
        assert folder_here(places) is None
    shutil.rmtree(private)
    private.symlink_to(tmp_path)
    with pytest.warns(RuntimeWarning, match="compiled code is not kept"):
        assert folder_here(places) is None


def folder_here(places: dict[str, str]) -> Path | None:
    """`cache.folder` of a process with these variables."""
    cache.folder.cache_clear()
    user_cache.folder.cache_clear()
    keep = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    tempfile.tempdir = None
    try:
        with mock.patch.dict(os.environ, keep | places, clear=True):
            return cache.folder()
    finally:
        cache.folder.cache_clear()
        user_cache.folder.cache_clear()
        tempfile.tempdir = None


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", mock.Mock(side_effect=RuntimeError("no home directory")))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    found = folder_here({"TMPDIR": str(tmp_path)})
    assert found is not None
    assert found.parents[1] == tmp_path


def test_a_chosen_folder_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    chosen = tmp_path / "file" / "cache"
    with pytest.warns(RuntimeWarning, match=f"{chosen} cannot be written"):
        assert folder_here({"NUMBA_CACHE_DIR": str(chosen)}) is None


def test_old_caches_are_removed_and_new_ones_kept(tmp_path: Path) -> None:
    old, recent = tmp_path / "rnnlm" / "compiled" / "old", tmp_path / "rnnlm" / "compiled" / "recent"
    for folder in (old, recent):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    cache_folder(XDG_CACHE_HOME=str(tmp_path))
    assert not old.exists()
    assert recent.exists()


def test_importing_makes_no_folder(tmp_path: Path) -> None:
    run("import rnnlm.training.loop, rnnlm.sampling.sample, rnnlm.measure.bench", XDG_CACHE_HOME=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


# A kernel, and a function that it calls by name.
KERNELS = """
import numpy as np
from rnnlm.kernels.matmul import linear
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.workspace import Workspace
x = np.ones((3, 4), np.float32)
linear.pack(x, Workspace(np.float32).panels("x", *x.shape))
stats = linear.pack.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), stats.cache_path)
"""


def test_the_first_kernel_makes_the_folder_and_the_second_process_reads_it(tmp_path: Path) -> None:
    hits, misses, folder = run(KERNELS, XDG_CACHE_HOME=str(tmp_path)).split()
    assert (hits, misses) == ("0", "1")
    assert Path(folder).parent == tmp_path / "rnnlm" / "compiled"
    names = {".".join(path.name.split("-")[0].split(".")[-2:]) for path in Path(folder).glob("*.nbc")}
    assert names >= {"linear.pack", "pack._pack_all"}
    assert run(KERNELS, XDG_CACHE_HOME=str(tmp_path)).split() == ["1", "0", folder]


def test_the_name_covers_every_package_that_has_kernels() -> None:
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if "@jit" in source or "@parallel" in source:
            assert path.relative_to(PACKAGE).parts[0] in cache.SOURCES, path


def test_the_name_depends_on_constants_in_files_without_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_cache, "_PACKAGE", tmp_path)
    found = set()
    for folder in (*cache.SOURCES, "console"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "constants.py").write_text("ROWS = 2")
        user_cache.source_hash.cache_clear()
        found.add(cache.source_hash())
    user_cache.source_hash.cache_clear()
    assert len(found) == len(cache.SOURCES)
