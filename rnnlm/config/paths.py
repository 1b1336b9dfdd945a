"""The paths of a configuration: relative ones count from the folder that the command is run in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnlm.config.schema import Config

# What is the same text by its content, wherever it lies.
TEXTS = ("data.train", "data.valid", "data.test", "data.text")
KEYS = (*TEXTS, "data.grammar.type", "vocab.file", "embedding.init.path", "model.output.by.path", "train.from")


def absolute(config: Config) -> dict[str, str]:
    """Every path that the configuration names, from the root of the file system, by its key."""
    values = config.model_dump()
    found = {key: value(values, key) for key in KEYS}
    # A grammar is a name or a file.
    named = found["data.grammar.type"]
    if named is not None and "/" not in named and not Path(named).exists():
        del found["data.grammar.type"]
    return {key: os.path.abspath(value) for key, value in found.items() if value is not None}


def replaced(config: Config, paths: Mapping[str, str]) -> Config:
    """The configuration with these paths in place of its own."""
    values = config.model_dump()
    for key, path in paths.items():
        *above, name = key.split(".")
        section = values
        for step in above:
            section = section[step]
        section[name] = path
    return Config.model_validate(values)


def inputs(config: Config) -> list[Path]:
    """The files that a command of this configuration reads."""
    return [Path(path) for path in absolute(config).values()]


def value(values: Any, key: str) -> str | None:
    """The text that stands under a key of a plain configuration."""
    for step in key.split("."):
        values = values.get(step) if isinstance(values, dict) else None
    return values if isinstance(values, str) else None
