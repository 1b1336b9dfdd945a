"""Nearest neighbours by the cosine, against a few lines of plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnlm.errors import InputError
from rnnlm.evaluation.nearest import nearest
from rnnlm.text.vocabulary import Vocabulary

WORDS = Vocabulary(["</s>", "<unk>", *"abcdefgh"], range(10), "word", False)


def cosine(x: list[float], y: list[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True)) / math.sqrt(sum(a * a for a in x) * sum(b * b for b in y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_nearest_come_first(dtype: type) -> None:
    table = np.random.default_rng(1).normal(size=(10, 4)).astype(dtype)
    first, second = nearest(table, WORDS, ["c", "</s>"], 3)
    rows = table.tolist()
    for found, own in ((first, 4), (second, 0)):
        wanted = sorted(
            ((cosine(rows[own], row), WORDS.tokens[i]) for i, row in enumerate(rows) if i != own), reverse=True
        )
        assert found.token == WORDS.tokens[own]
        assert [neighbour.token for neighbour in found.nearest] == [token for _, token in wanted[:3]]
        np.testing.assert_allclose([neighbour.cosine for neighbour in found.nearest], [c for c, _ in wanted[:3]])


def test_equal_vectors_and_small_vocabularies() -> None:
    table = np.ones((10, 2))
    (found,) = nearest(table, WORDS, ["b"], 20)
    assert [neighbour.token for neighbour in found.nearest] == [token for token in WORDS.tokens if token != "b"]
    assert [neighbour.cosine for neighbour in found.nearest] == pytest.approx([1] * 9)


def test_tokens_that_do_not_show_are_spelled() -> None:
    characters = Vocabulary(["\n", " ", "<unk>", "a"], range(4), "char", True)
    table = np.array([[1.0, 0], [0.9, 0.1], [0, 1], [-1, 0]])
    (found,) = nearest(table, characters, ["\\n"])
    assert found.token == "\\n"
    assert [neighbour.token for neighbour in found.nearest] == ["\\u0020", "<unk>", "a"]
    assert nearest(table, characters, ["A"])[0].token == "a", "its text was lower-cased"


def test_words_that_have_no_neighbours() -> None:
    table = np.ones((10, 2))
    table[2] = 0
    with pytest.raises(InputError, match="^--nearest a: its vector is 0, which has no direction; give another word$"):
        nearest(table, WORDS, ["b", "a"])
    for word in ("zebra", "", "A"):
        with pytest.raises(InputError, match=f"^--nearest {word}: not among the vocabulary's 10 tokens; give one of"):
            nearest(table, WORDS, [word])
    (found,) = nearest(table, WORDS, ["b"])
    assert found.nearest[-1].token == "a", "a vector of 0 is near nothing"
    assert found.nearest[-1].cosine == 0
