"""Files that are whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from rnnlm.errors import ResourceError
from rnnlm.files import atomic


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic.atomic_write(path) as file:
        file.write(b"new" * 100_000)
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" * 100_000
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError(28, "No space left on device")])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_error_leaves_nothing_behind(tmp_path: Path, error: Any, old: bytes | None) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    full = isinstance(error, OSError)
    message = "file: cannot be written: No space left on device" if full else None

    def interrupted() -> None:
        with atomic.atomic_write(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(ResourceError if full else error, match=message):
        interrupted()
    assert names(tmp_path) == ([] if old is None else ["file"])
    assert old is None or path.read_bytes() == old


def test_a_failed_rename_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResourceError, match="folder: cannot be written: Is a directory"):
        atomic.write_text(tmp_path / "folder", "x")
    assert names(tmp_path) == ["folder"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ResourceError, match=r"file/inside: cannot be written: .*; choose another place or free space"
    ):
        atomic.write_text(tmp_path / "file" / "inside", "x")


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "far" / "file")
    atomic.write_text(link, "x")
    assert link.is_symlink()
    assert (tmp_path / "far" / "file").read_text() == "x"
    assert names(tmp_path / "far") == ["file"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """As root, a rename over /dev/null would replace it for the whole system."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    atomic.write_text(pipe, "x")
    reader.join(5)
    assert read == ["x"]
    assert pipe.is_fifo()
    assert names(tmp_path) == ["pipe"]


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_killed_processes_left_behind_is_removed(tmp_path: Path) -> None:
    """Of dead processes of this host, and of this file alone."""
    dead, host = dead_process(), atomic._host()
    gone = [f".file.{dead}-{host}01234567.tmp", f".file.{dead}-{host}89abcdef.tmp"]
    kept = [
        f".file.{os.getpid()}-{host}01234567.tmp",  # still at work
        f".file.{dead}-0123456701234567.tmp",  # another host's
        f".other.{dead}-{host}01234567.tmp", f".file.{dead}-{host}0123456.tmp", f"file.{dead}-{host}01234567.tmp",
        f".file.{dead}-{host}01234567.tmp.txt",
    ]  # fmt: skip
    for name in gone + kept:
        (tmp_path / name).write_text("x")
    atomic.write_text(tmp_path / "file", "new")
    assert names(tmp_path) == sorted([*kept, "file"])


KILLED = """
import os, signal, sys
from rnnlm.files import atomic
with atomic.atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_write_that_is_killed_leaves_nothing_for_long(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert len(names(tmp_path)) == 1
    atomic.write_text(path, "whole")
    assert names(tmp_path) == ["state.safetensors"]
