"""Checks of an output before any work is done: it takes nobody's place, and can be written.

Every file that a command is told to write goes through `check`. (A run's folder has rules of its own, in
``run_folder``.)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from rnnlm.errors import InputError
from rnnlm.files.atomic import atomic_write

# By what is written: the endings of a file's name that go with it.
ENDINGS = {
    "configuration": (".yaml", ".yml"),
    "file of settings": (".yaml", ".yml"),
    "vocabulary": (".txt", ".tsv", ".vocab"),
    "file of word vectors": (".txt", ".vec"),
    "file of trained word vectors": (".txt", ".vec", ".bin"),
    "table": (".tsv", ".txt"),
    "model of n-grams": (".arpa",),
    "model of subwords": (".model",),
    "table of scores": (".tsv", ".txt"),
    "file of JSON lines": (".jsonl", ".txt"),
    "Kaldi text file": (".txt",),
    "page": (".html", ".htm"),
    "script": (".js",),
    "picture": (".png", ".svg"),
    "safetensors file": (".safetensors",),
    "ONNX graph": (".onnx",),
    "text": (".txt",),
}

# Of these a run's folder always has one, and nothing else does that a command writes.
_OF_A_RUN = ("config.yaml", "log.jsonl", "state.safetensors")


def check(path: Path, what: str, reads: Iterable[Path], force: bool) -> None:
    """Check an output.

    Args:
        what: one of `ENDINGS`.
        reads: files that the command reads: none of them may be written over, whatever `force` says.
        force: whether another file may be replaced.

    Raises:
        InputError: the name's ending belongs to something else; a file or folder is in the way; the command reads it.
        ResourceError: it cannot be written.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        return  # a device or a pipe
    endings = ENDINGS[what]
    if path.suffix.lower() not in ("", *endings):
        names = " or ".join(f"NAME{ending}" for ending in endings)
        raise InputError(f"{path}: {'an' if what[0] in 'AEIOUaeiou' else 'a'} {what} is written; name it {names}")
    if path.is_dir():
        raise InputError(f"{path}: cannot be written: it is a folder; name a file")
    if any(_same(path, read) for read in reads):
        raise InputError(f"{path}: this command reads it; give the output another name")
    if path.exists() and not force:
        raise InputError(f"{path}: is there already; --force replaces it")
    _try(path)


def check_folder(folder: Path, names: Sequence[str], reads: Iterable[Path], force: bool) -> None:
    """Check a folder that files of these names are written to; reads, force: as of `check`.

    Raises:
        InputError: it is a file, or the folder of a run, or the command reads one of its files; it has files already,
            or a folder where a file is to be.
        ResourceError: it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is no folder, and one is written; give another name")
    reads = list(reads)
    for name in names:
        if any(_same(folder / name, read) for read in reads):
            raise InputError(f"{folder}: this command reads {name} there; give another folder")
    if any((folder / name).exists() for name in _OF_A_RUN):
        raise InputError(f"{folder}: is the folder of a run, whose model would be written over; give another folder")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InputError(f"{folder}: is there already and has files; --force replaces those of the same names")
    for name in names:
        if (folder / name).is_dir():
            raise InputError(f"{folder / name}: cannot be written: it is a folder; give another folder")
    _try(folder / names[0])


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
