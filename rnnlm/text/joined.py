"""Several text files that are read as one text, one after the other."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rnnlm.errors import TextError

_ENDINGS = (".txt", ".txt.gz")


class Part(NamedTuple):
    """A file of several. weight: how often it is read, one time after the other."""

    path: Path
    weight: int = 1


@dataclass(frozen=True)
class Joined:
    """Text files in the order in which they are read. A file whose last line does not end gets a line end before the
    next one begins."""

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        others = len(self.parts) - 1
        return f"{self.parts[0].path}" + (f" and {others:,} more" if others else "")


# A text as a command or a configuration names it.
TextPath = str | Path | Joined


def of(parts: Sequence[tuple[str | Path, int]]) -> Path | Joined:
    """The text of some files, each with its weight; a single one that is read once is itself."""
    path, weight = parts[0]
    return Path(path) if len(parts) == 1 and weight == 1 else Joined(tuple(Part(Path(p), w) for p, w in parts))


def files_of(text: TextPath) -> list[Path]:
    """The files of a text."""
    return [part.path for part in text.parts] if isinstance(text, Joined) else [Path(text)]


def matching(name: str) -> list[Path]:
    """The files that a name stands for, sorted by their paths: itself, the texts of a folder and its subfolders
    (``.txt``, ``.txt.gz``), or what a pattern (``*``, ``?``, ``[...]``, ``**``) matches. Hidden ones are left out."""
    if os.path.isdir(name):
        below = (path for path in Path(name).rglob("*") if path.name.endswith(_ENDINGS) and path.is_file())
        return sorted(path for path in below if not any(s.startswith(".") for s in path.relative_to(name).parts))
    if os.path.lexists(name) or not glob.has_magic(name):
        return [Path(name)]
    return sorted(Path(path) for path in glob.glob(name, recursive=True) if os.path.isfile(path))


def find(key: str, named: Sequence[tuple[str, int]]) -> Path | Joined:
    """The text that a configuration names. Whether its files can be read is not looked at.

    Args:
        key: of the configuration, for messages. named: each name, as `matching` takes it, and its weight.

    Raises:
        TextError: a name that stands for no file; a file that is named twice.
    """
    parts: list[tuple[str | Path, int]] = []
    seen: set[str] = set()
    for name, weight in named:
        found = matching(name)
        if not found and os.path.isdir(name):
            endings = " and ".join(f"*{ending}" for ending in _ENDINGS)
            raise TextError(
                f"{key}: {name}: a folder without texts ({endings}); name others by a pattern, DIR/*.ENDING"
            )
        if not found:
            raise TextError(f"{key}: {name}: matches no file; give a file, a folder or another pattern")
        for path in found:
            if (real := os.path.realpath(path)) in seen:
                raise TextError(f"{key}: {path} is named twice; name it once, with weight: 2 to read it twice")
            seen.add(real)
            parts.append((path, weight))
    return of(parts)
