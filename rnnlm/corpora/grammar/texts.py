"""Grammars from files, and texts from grammars."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnlm.config import recipes as resources
from rnnlm.corpora.grammar.expansion import check_finite, expand
from rnnlm.corpora.grammar.plain import Grammar
from rnnlm.corpora.grammar.reading import read
from rnnlm.errors import InputError
from rnnlm.files.atomic import atomic_write
from rnnlm.work import Progress

_BLOCK = 1000  # sentences between two progress records


@dataclass(frozen=True)
class Written:
    """A text that `write` made. `tokens` counts one </s> a sentence; `perplexity` is the grammar's own."""

    path: str
    sentences: int
    tokens: int
    perplexity: float
    sha256: str


def find(path: str | Path) -> Path:
    """A grammar file, or the one of that name that comes with rnnlm."""
    return resources.find("corpora", path, ".yaml")


def load(path: str | Path) -> Grammar:
    """Read a grammar file (or one that comes with rnnlm, by its name), expand its features, check it.

    Raises:
        TextError: one line that names the file, line and rule: not YAML; an unknown key, symbol, variable or
            value; a symbol used with other features than it has; a weight that is not a positive number; a
            rule or word that no sentence can reach; a symbol that never comes to an end; recursion without
            end on average.
    """
    source = read(find(path))
    grammar = expand(source)
    check_finite(grammar)
    return grammar


def write(
    grammar: Grammar, sentences: int, seed: int | Sequence[int], path: str | Path
) -> Generator[Progress, None, Written]:
    """Write a text of `sentences` sentences, one a line, in UTF-8; whole or not at all.

    Raises:
        InputError: fewer than one sentence.
        ResourceError: the path cannot be written.
    """
    if sentences < 1:
        raise InputError(f"sentences: found {sentences}; write at least 1")
    path = Path(path)
    digest, tokens, log_probability, done = hashlib.sha256(), 0, 0.0, 0
    drawn = grammar.generate(sentences, seed)
    with atomic_write(path) as file:
        while block := list(itertools.islice(drawn, _BLOCK)):
            lines = "".join(f"{sentence}\n" for sentence, _ in block).encode()
            file.write(lines)
            digest.update(lines)
            tokens += sum(len(sentence.split()) + 1 for sentence, _ in block)
            log_probability += math.fsum(value for _, value in block)
            done += len(block)
            yield Progress(f"write {path.name}", done, sentences, "sentences")
    return Written(str(path), sentences, tokens, math.exp(-log_probability / tokens), digest.hexdigest())
