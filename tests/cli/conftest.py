"""Shared by the tests of the commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def refused(call: Any, config: Path, runs: dict[str, Path]) -> Callable[..., None]:
    """Checks that a command ends with status 2 and one line with a message in it, and leaves nothing behind.

    {config}, {run} and {folder} in its arguments stand for those of the fixtures; {empty}, {binary}, {twice} and
    {vectors} for files that are wrong in one way each.
    """
    folder = config.parent
    (folder / "empty.txt").write_text("")
    (folder / "binary.txt").write_bytes(b"abc\xff\xfe")
    (folder / "twice.txt").write_text("a\t2\na\t1\n")
    (folder / "vectors.txt").write_text("2 3\nthe 1 2 3\ndog 1 2 3\n")
    names = {name: folder / f"{name}.txt" for name in ("empty", "binary", "twice", "vectors")}

    def check(arguments: list[str], message: str) -> None:
        found = call(*(a.format(config=config, folder=folder, run=runs["word"], **names) for a in arguments))
        assert found[0] == 2
        last = found[2].splitlines()[-1]
        assert last.startswith("error: ")
        assert message in last
        assert "Traceback" not in found[2]
        assert found[1] == ""
        assert not list(folder.rglob("*.tmp"))
        assert not list(folder.rglob("*.safetensors"))

    return check
