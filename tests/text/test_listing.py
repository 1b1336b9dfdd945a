"""What ``rnnlm corpus`` lists and makes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from reading import result

from rnnlm.errors import InputError, TextError
from rnnlm.text import grammar, listing


def test_the_list_has_grammars_and_corpora() -> None:
    found = json.loads(json.dumps(listing.as_json()))
    assert set(found["grammars"]) == {"english"}
    assert {entry["name"] for entry in found["corpora"]} >= {"ptb", "wikitext-2", "wikitext-103", "text8", "enwik8"}


def test_making_a_text(tmp_path: Path) -> None:
    made = result(listing.make("english", tmp_path, (30, 10, 5), 3))
    assert [text.sentences for text in made.texts] == [30, 10, 5]
    for text, name in zip(made.texts, listing.SPLITS, strict=True):
        lines = (tmp_path / f"{name}.txt").read_text().splitlines()
        assert len(lines) == text.sentences
        assert text.tokens == sum(len(line.split()) + 1 for line in lines)
    language = grammar.load("english")
    assert made.grammar.lowest_perplexity == pytest.approx(
        math.exp(language.entropy() / (language.mean_length() + 1))
    )
    assert len({path.read_text() for path in tmp_path.iterdir()}) == 3, "each text is a sample of its own"
    again = result(listing.make("english", tmp_path / "again", (30, 10, 5), 3))
    assert [text.sha256 for text in again.texts] == [text.sha256 for text in made.texts]
    json.dumps(made.json())


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--sentences: found 2 numbers; give three"):
        result(listing.make("english", tmp_path, (30, 10), 0))
    with pytest.raises(TextError, match="nowhere"):
        result(listing.make("nowhere", tmp_path, None, 0))
    assert not list(tmp_path.iterdir())
