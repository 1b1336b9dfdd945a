"""Own texts of a run: the files that a model names, read only where they can be texts.

A model may be a stranger's: what its header names is not what the user has asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rnnlm.config.data import Data
from rnnlm.errors import InputError


def own_text(model: Path, data: Data, name: Literal["train", "valid", "test"]) -> Path | None:
    """The path of one of a run's own texts; None where it has none, or it is not there (any more).

    Args:
        model: the run's model file; data: the section `data` of its configuration.

    Raises:
        InputError: what is there is no regular file (a device or a pipe might never end).
    """
    named = getattr(data, name) if data.train is not None else model.parent / "text" / f"{name}.txt"
    if named is None:
        return None
    path = Path(named)
    try:
        if not path.exists():
            return None
        if path.is_file():
            return path
    except (OSError, ValueError):  # a name that no file can have
        return None
    raise InputError(f"{model}: names {path} as its own {name} text, which is no regular file; give a TEXT")
