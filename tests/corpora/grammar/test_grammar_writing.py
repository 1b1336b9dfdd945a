"""Drawing sentences and writing texts: repeatable, as deep as it gets, whole or not at all."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import pytest
from records import run

from rnnlm.corpora import grammar as grammars
from rnnlm.corpora.grammar import Grammar, Written
from rnnlm.errors import InputError
from rnnlm.work import Progress


def test_the_same_seed_gives_the_same_text(english: Grammar) -> None:
    def digest(seed) -> str:
        return hashlib.sha256("\n".join(sentence for sentence, _ in english.generate(500, seed)).encode()).hexdigest()

    assert digest(1) == digest(1) != digest(2)
    assert digest([1, 0]) != digest([1, 1])
    first = [sentence for sentence, _ in english.generate(100, 1)]
    assert first == [sentence for sentence, _ in english.generate(500, 1)][:100]


def test_a_text_is_the_same_on_every_machine(read) -> None:
    """On a grammar of the test's own, so that editing english.yaml does not touch it."""
    g = read("start: S\nrules:\n  S:\n    a S: 3\n    b S: 1\n    C: 2\nwords:\n  C:\n    - {words: c d e f g}\n")
    text = "".join(f"{sentence}\n" for sentence, _ in g.generate(1000, 42))
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        == "70503db21eab23849799e536157319dc4b3af6978952baca0baaaabb7a377f8f"
    )


def test_deep_recursion_does_not_overflow(read) -> None:
    g = read("start: S\nrules:\n  S:\n    ( S ): 99999\n    C: 1\nwords:\n  C:\n    - {words: x}\n")
    longest = max(len(sentence.split()) for sentence, _ in g.generate(3, 1))
    assert longest > 20_000


def test_write(english: Grammar, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    written, records = run(grammars.write(english, 2500, 5, path))
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = list(english.generate(2500, 5))
    tokens = sum(len(line.split()) + 1 for line in lines)
    assert lines == [sentence for sentence, _ in pairs]
    assert isinstance(written, Written)
    assert (written.path, written.sentences, written.tokens) == (str(path), 2500, tokens)
    assert written.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert written.perplexity == pytest.approx(math.exp(-math.fsum(v for _, v in pairs) / tokens), rel=1e-12)
    assert written.perplexity == pytest.approx(english.lowest_perplexity(), rel=0.05)
    assert all(isinstance(record, Progress) and record.unit == "sentences" for record in records)
    assert [record.done for record in records] == [1000, 2000, 2500]
    assert records[-1].total == 2500


def test_a_write_that_is_stopped_leaves_nothing(english: Grammar, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("before")
    work = grammars.write(english, 5000, 5, path)
    next(work)
    work.close()
    assert [p.name for p in tmp_path.iterdir()] == ["text.txt"]
    assert path.read_text() == "before"


def test_write_refuses_no_sentences(english: Grammar, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sentences: found 0"):
        run(grammars.write(english, 0, 5, tmp_path / "text.txt"))
