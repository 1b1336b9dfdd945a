"""Own texts of a run: the files that a model names, which are read only where they can be its texts.

A model may be a stranger's: what its header names is not what the user has asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rnnlm.config import file as config_file
from rnnlm.config import paths
from rnnlm.errors import ConfigError, InputError
from rnnlm.files.model_file import Trained
from rnnlm.files.run_folder import CONFIG, TEXT
from rnnlm.text import files

# What a text is called in messages.
TEXTS = {"train": "training", "valid": "validation", "test": "test"}


def own_text(trained: Trained, name: Literal["train", "valid", "test"]) -> Path | None:
    """The text that a model was trained with; None where it has none, or it is not there (any more).

    Raises:
        InputError: what is there is another text, or no regular file (a device or a pipe might never end).
    """
    folder, data = trained.path.parent, trained.config.data
    if data.train is None:
        places = [folder / TEXT / f"{name}.txt"]
    else:
        named = (_absolute(folder).get(f"data.{name}"), getattr(data, name))
        places = [Path(path) for path in named if path is not None]
    found = [path for path in places if _is_there(path, trained, name)]
    wanted = trained.texts.get(name)
    for path in found:
        if wanted is None or files.sha256(path) == wanted:
            return path
    if found:
        raise InputError(
            f"{found[0]}: no longer the {TEXTS[name]} text of {trained.path}, its content has changed; name it as "
            "TEXT to take it all the same"
        )
    return None


def _is_there(path: Path, trained: Trained, name: str) -> bool:
    try:
        if not path.exists() or path.is_file():
            return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False
    raise InputError(f"{trained.path}: names {path} as its own {name} text, which is no regular file; give a TEXT")


def _absolute(folder: Path) -> dict[str, str]:
    """The paths of the configuration that lies in a run's folder."""
    try:
        return paths.absolute(config_file.load(folder / CONFIG)) if (folder / CONFIG).is_file() else {}
    except ConfigError:
        return {}
