"""Folders and disks that cannot take a corpus."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from corpus_server import BODY, Page, Server, names, plain, run

from rnnlm.errors import ResourceError


def test_too_little_space_is_found_before_the_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = server.put("/text", Page())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6 - 1000, 1000))
    with pytest.raises(ResourceError, match=f"needs {len(BODY)} bytes, the disk has 1000 free"):
        run(plain(server.address("/text")), tmp_path)
    assert page.requests == []
    with pytest.raises(ResourceError, match=f"needs {len(BODY)} bytes, the disk has 1000 free"):
        run(plain(server.address("/text"), known={}), tmp_path)  # known from the server's answer
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        ResourceError, match=r"file/corpus: cannot be written: Not a directory; choose another folder"
    ):
        run(plain(server.address("/text")), tmp_path / "file" / "corpus")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page())
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ResourceError, match=r"text.part: cannot be written: Permission denied"):
            run(plain(server.address("/text")), tmp_path)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_fills_up(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page())
    (tmp_path / "text.part").symlink_to("/dev/full")
    with pytest.raises(ResourceError, match=r"text.part: cannot be written: No space left on device"):
        run(plain(server.address("/text"), server.address("/text")), tmp_path)
    assert "text" not in names(tmp_path)
