"""Reading a text as the program does, for the tests of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnlm.text import corpus, tokenizers, vocabulary
from rnnlm.text.corpus import Corpus
from rnnlm.text.joined import Joined, files_of
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import run_to_end


def tokens(path: Path | Joined, unit: str, lowercase: bool = False) -> list[str]:
    return [token for piece in tokenizers.pieces(path, unit, lowercase) for token in piece.tokens]


def characters(path: Path, unit: str) -> int:
    return sum(piece.characters for piece in tokenizers.pieces(path, unit, False))


def build(path: Path | Joined, unit: str, **settings: Any) -> Vocabulary:
    arguments = {"lowercase": False, "min_count": 1, "max_size": None, **settings}
    return run_to_end(vocabulary.build(path, unit, **arguments))


def encode(path: Path | Joined, words: Vocabulary) -> Corpus:
    return run_to_end(corpus.encode(path, words, files_of(path)[0].parent / "cache"))
