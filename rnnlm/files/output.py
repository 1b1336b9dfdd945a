"""Checks of an output before any work is done: it takes nobody's place, and can be written.

Every file that a command is told to write goes through `check`. (A run's folder has rules of its own, in
``run_folder``.)
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from rnnlm.errors import InputError, ResourceError
from rnnlm.files.atomic import atomic_write

# By what is written: the endings of a file's name that go with it.
ENDINGS = {
    "configuration": (".yaml", ".yml"),
    "file of settings": (".yaml", ".yml"),
    "vocabulary": (".txt", ".tsv", ".vocab"),
    "file of word vectors": (".txt", ".vec"),
    "table": (".tsv", ".txt"),
    "model of n-grams": (".arpa",),
    "table of scores": (".tsv", ".txt", ".jsonl"),
    "page": (".html", ".htm"),
    "script": (".js",),
    "picture": (".png", ".svg"),
    "safetensors file": (".safetensors",),
    "ONNX graph": (".onnx",),
    "text": (".txt",),
}


def check(path: Path, what: str, reads: Iterable[Path], force: bool) -> None:
    """Check an output.

    Args:
        what: one of `ENDINGS`.
        reads: files that the command reads: none of them may be written over, whatever `force` says.
        force: whether another file may be replaced.

    Raises:
        InputError: the name's ending belongs to something else; a file is in the way; the command reads it.
        ResourceError: it cannot be written.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        return  # a device or a pipe
    endings = ENDINGS[what]
    if path.suffix.lower() not in ("", *endings):
        names = " or ".join(f"NAME{ending}" for ending in endings)
        raise InputError(f"{path}: a {what} is written; name it {names}")
    if path.is_dir():
        raise ResourceError(f"{path}: cannot be written: it is a folder; name a file")
    if any(_same(path, read) for read in reads):
        raise InputError(f"{path}: this command reads it; give the output another name")
    if path.exists() and not force:
        raise InputError(f"{path}: is there already; --force replaces it")
    _try(path)


def _same(path: Path, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return os.path.abspath(path) == os.path.abspath(other)


class _Written(Exception):
    pass


def _try(path: Path) -> None:
    """Write nothing beside the output's place, and throw it away."""
    missing = [parent for parent in path.parents if not parent.exists()]
    try:
        with atomic_write(path):
            raise _Written
    except _Written:
        pass
    for parent in missing:
        parent.rmdir()
