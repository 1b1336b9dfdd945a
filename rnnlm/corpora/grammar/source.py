"""A grammar file as data: symbols with arguments, alternatives, words, each with its line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rnnlm.errors import TextError


@dataclass(frozen=True)
class Symbol:
    name: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(self.arguments)}]" if self.arguments else self.name


@dataclass(frozen=True)
class Alternative:
    right: tuple[Symbol | str, ...]
    text: str
    weight: float
    line: int


@dataclass(frozen=True)
class Block:
    """One key of ``rules``: a left side and its alternatives."""

    left: Symbol
    alternatives: tuple[Alternative, ...]
    line: int


@dataclass(frozen=True)
class Word:
    """One word of a category. `forms` follow the values of the category's first argument; `likes`: shares of
    use."""

    forms: tuple[str, ...]
    weight: float
    likes: tuple[dict[str, float], ...]
    line: int


@dataclass
class Source:
    path: Path
    start: str
    features: dict[str, dict[str, float]]
    blocks: dict[str, list[Block]]
    categories: dict[str, list[Word]]
    # The feature of each argument, and the line, of every symbol that the file defines.
    kinds: dict[str, tuple[str, ...]]
    lines: dict[str, int]

    def feature(self, argument: str) -> str | None:
        """The feature that a value or a variable (a feature's name and maybe digits) belongs to."""
        for name, values in self.features.items():
            if argument in values or (argument.startswith(name) and re.fullmatch(r"\d*", argument[len(name) :])):
                return name
        return None

    def is_value(self, argument: str) -> bool:
        return any(argument in values for values in self.features.values())


def error_at(path: Path, line: int, text: str) -> TextError:
    return TextError(f"{path}:{line}: {text}")
