"""Lists of grammars and corpora, and texts made from a grammar (``rnnlm corpus``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rnnlm.corpora import catalogue, grammar
from rnnlm.corpora.grammar import Description, Written
from rnnlm.errors import InputError
from rnnlm.files import output
from rnnlm.work import Task

SPLITS = ("train", "valid", "test")
SENTENCES = (20000, 1000, 1000)


@dataclass(frozen=True)
class Made:
    """Description of a grammar, and the texts that were written from it."""

    grammar: Description
    texts: tuple[Written, ...]

    def json(self) -> dict[str, Any]:
        return asdict(self)


def grammars() -> dict[str, Description]:
    """Descriptions of the built-in grammars, by name."""
    return {name: grammar.describe(grammar.load(name)) for name in grammar.built_in()}


def as_json() -> dict[str, Any]:
    """Everything of ``rnnlm corpus list``, as plain data."""
    return {
        "grammars": {name: asdict(found) for name, found in grammars().items()},
        "corpora": [
            {
                **asdict(entry),
                "folder": str(entry.folder),
                "splits": {name: split.model_dump(exclude_none=True) for name, split in entry.splits.items()},
            }
            for entry in catalogue.describe()
        ],
    }


def make(
    name: str, folder: Path | None, sentences: Sequence[int] | None, seed: int, force: bool = False
) -> Task[Made]:
    """Write train, valid and test. Yields Progress, returns a Made.

    Args:
        force: whether files that are there may be replaced.

    Raises:
        InputError: not three counts, or a file is there already; TextError: not a grammar.
    """
    counts = tuple(sentences or SENTENCES)
    if len(counts) != len(SPLITS):
        raise InputError(f"--sentences: found {len(counts)} numbers; give three, for train, valid and test")
    language = grammar.load(name)
    folder = folder or Path("corpora") / Path(name).stem
    paths = [folder / f"{split}.txt" for split in SPLITS]
    for path in paths:
        output.check(path, "text", [grammar.find(name)], force)
    texts = []
    for number, (path, count) in enumerate(zip(paths, counts, strict=True)):
        texts.append((yield from grammar.write(language, count, (seed, number), path)))
    return Made(grammar.describe(language), tuple(texts))
