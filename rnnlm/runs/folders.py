"""Folders of runs: a run's own, or one with runs one or two levels below."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rnnlm.errors import ModelError
from rnnlm.files import run_folder
from rnnlm.files.model_file import MODEL, STATE

_LEVELS = 2


def find(folder: Path) -> tuple[list[Path], list[str]]:
    """The runs of a folder, by name: the folder itself, or else those one or two levels below it; and what is said
    of each folder among them that cannot be read.

    Raises:
        ModelError: it is not there, no folder, or holds no run.
    """
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        raise ModelError(f"{folder}: {what}; give a run's folder, or one that runs lie in")
    problems: list[str] = []
    found = list(_runs(folder, _LEVELS, problems))
    if not found and not problems:
        raise ModelError(f"{folder}: no run in it, or up to {_LEVELS} levels below; give one that rnnlm train made")
    return found, problems


def _runs(folder: Path, levels: int, problems: list[str]) -> Iterator[Path]:
    below: list[Path] = []
    try:
        if run_folder.is_run(folder) or any((folder / name).exists() for name in (MODEL, STATE)):
            yield folder
        elif levels:
            below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        problems.append(f"{folder}: {error.strerror}; give a folder that can be read")
    for path in below:
        yield from _runs(path, levels - 1, problems)
