"""Folders of runs: a run's own, or one with runs one or two levels below."""

from __future__ import annotations

from pathlib import Path

from rnnlm.errors import ModelError
from rnnlm.files import run_folder
from rnnlm.files.model_file import MODEL, STATE

_LEVELS = 2


def find(folder: Path) -> list[Path]:
    """The runs of a folder, by name: the folder itself, or else those one or two levels below it.

    Raises:
        ModelError: it is not there, no folder, or holds no run.
    """
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        raise ModelError(f"{folder}: {what}; give a run's folder, or one that runs lie in")
    try:
        found = _runs(folder, _LEVELS)
    except OSError as error:
        raise ModelError(f"{folder}: {error.strerror}; give a folder that can be read") from None
    if not found:
        raise ModelError(f"{folder}: no run in it, or up to {_LEVELS} levels below; give one that rnnlm train made")
    return found


def _runs(folder: Path, levels: int) -> list[Path]:
    if run_folder.is_run(folder) or any((folder / name).exists() for name in (MODEL, STATE)):
        return [folder]
    if levels == 0:
        return []
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [run for path in below for run in _runs(path, levels - 1)]
