"""Own texts of a run: the files that a model names, which are read only where they can be its texts.

A model may be a stranger's: what its header names is not what the user has asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError, InputError
from rnnlm.files.model_file import Trained
from rnnlm.files.run_folder import CONFIG, TEXT
from rnnlm.text import files
from rnnlm.text.joined import Joined, files_of, of

# What a text is called in messages.
TEXTS = {"train": "training", "valid": "validation", "test": "test"}


def own_text(trained: Trained, name: Literal["train", "valid", "test"]) -> Path | Joined | None:
    """The text that a model was trained with; None where it has none, or it is not there (any more).

    Raises:
        InputError: what is there is another text, or no regular file (a device or a pipe might never end).
    """
    folder, data = trained.path.parent, trained.config.data
    places: list[Path | Joined] = [folder / TEXT / f"{name}.txt"]
    if data.train is not None:
        named = (config.data.named(name) for config in (_absolute(folder), trained.config) if config is not None)
        places = [of(files_named) for files_named in named if files_named]
    found = [path for path in places if _is_there(path, trained, name)]
    wanted = trained.texts.get(name)
    for path in found:
        if wanted is None or files.sha256(path) == wanted:
            return path
    if found:
        raise InputError(
            f"{files.name(found[0])}: no longer the {TEXTS[name]} text of {trained.path}, its content has changed; "
            "name it as TEXT to take it all the same"
        )
    return None


def _is_there(path: Path | Joined, trained: Trained, name: str) -> bool:
    if isinstance(path, Joined):
        return all([_is_there(own, trained, name) for own in files_of(path)])
    try:
        if not path.exists() or path.is_file():
            return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False
    raise InputError(f"{trained.path}: names {path} as its own {name} text, which is no regular file; give a TEXT")


def _absolute(folder: Path) -> Config | None:
    """The configuration that lies in a run's folder, whose paths are absolute; None where there is none."""
    try:
        return config_file.load(folder / CONFIG) if (folder / CONFIG).is_file() else None
    except ConfigError:
        return None
