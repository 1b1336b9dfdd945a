"""The built-in grammar, a sample of it, and grammars from a test's own text."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnlm.corpora import grammar as grammars
from rnnlm.corpora.grammar import Grammar


@pytest.fixture(scope="session")
def english() -> Grammar:
    return grammars.load("english")


@pytest.fixture(scope="session")
def sample(english: Grammar) -> list[tuple[list[str], float]]:
    return [(sentence.split(), value) for sentence, value in english.generate(20_000, 7)]


@pytest.fixture
def read(tmp_path: Path):
    """Load a grammar from its text."""

    def load(text: str) -> Grammar:
        path = tmp_path / "g.yaml"
        path.write_text(text, encoding="utf-8")
        return grammars.load(path)

    return load
