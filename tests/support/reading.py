"""Reading a text as the program does, for the tests of texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnlm.text import corpus, tokenizer, vocabulary
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary


def result(work: Iterator[Any]) -> Any:
    """Run a generator to its end; what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def tokens(path: Path, unit: str, lowercase: bool = False) -> list[str]:
    return [token for piece in tokenizer.pieces(path, unit, lowercase) for token in piece.tokens]


def characters(path: Path, unit: str) -> int:
    return sum(piece.characters for piece in tokenizer.pieces(path, unit, False))


def build(path: Path, unit: str, **settings: Any) -> Vocabulary:
    arguments = {"lowercase": False, "min_count": 1, "max_size": None, **settings}
    found: Vocabulary = result(vocabulary.build(path, unit, **arguments))
    return found


def encode(path: Path, words: Vocabulary) -> Corpus:
    found: Corpus = result(corpus.encode(path, words, path.parent / "cache"))
    return found
