"""The paths of a configuration: relative ones count from the folder that the command is run in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from rnnlm.config.schema import Config

# What is the same text by its content, wherever it lies.
NAMES: tuple[Literal["train", "valid", "test", "text"], ...] = ("train", "valid", "test", "text")
TEXTS = tuple(f"data.{name}" for name in NAMES)
KEYS = (
    *TEXTS, "data.grammar.type", "data.subwords.path", "vocab.file", "embedding.init.path", "model.output.by.path",
    "train.from",
)  # fmt: skip


def absolute(config: Config) -> dict[str, str]:
    """Every path that the configuration names, from the root of the file system, by its key."""
    values = config.model_dump()
    found = {each: value(values, each) for key in KEYS for each in _each(values, key)}
    # A grammar is a name or a file.
    named = found["data.grammar.type"]
    if named is not None and "/" not in named and not Path(named).exists():
        del found["data.grammar.type"]
    return {key: os.path.abspath(value) for key, value in found.items() if value is not None}


def replaced(config: Config, paths: Mapping[str, str]) -> Config:
    """The configuration with these paths in place of its own."""
    values: Any = config.model_dump()
    for key, path in paths.items():
        *above, name = key.split(".")
        section = values
        for step in above:
            section = section[_step(section, step)]
        section[_step(section, name)] = path
    return Config.model_validate(values)


def inputs(config: Config) -> list[Path]:
    """The files that a command of this configuration reads."""
    return [Path(path) for path in absolute(config).values()]


def value(values: Any, key: str) -> str | None:
    """The text that stands under a key of a plain configuration."""
    for step in key.split("."):
        if isinstance(values, list) and step.isdecimal():
            values = values[int(step)] if int(step) < len(values) else None
        else:
            values = values.get(step) if isinstance(values, dict) else None
    return values if isinstance(values, str) else None


def _each(values: Any, key: str) -> list[str]:
    """The keys of every path under a key: data.train, or data.train.0, data.train.1.path ... of a list."""
    section, name = key.rsplit(".", 1)
    texts = values[section].get(name) if section in values else None
    if not isinstance(texts, list):
        return [key]
    return [f"{key}.{i}.path" if isinstance(text, dict) else f"{key}.{i}" for i, text in enumerate(texts)]


def _step(section: Any, step: str) -> Any:
    return int(step) if isinstance(section, list) else step
