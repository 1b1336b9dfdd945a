"""Word errors against an edit distance by the recurrence."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from rnnlm.errors import InputError
from rnnlm.evaluation.rescoring.records import WordErrors
from rnnlm.evaluation.rescoring.word_errors import count, summed


def distance(one: list[str], other: list[str]) -> int:
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row = row, [i]
        for j, b in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


def test_errors_are_the_edit_distance() -> None:
    generator = np.random.default_rng(0)
    texts = [[" ".join(generator.choice([*"abcd"], generator.integers(0, 7))) for _ in range(200)] for _ in range(2)]
    found = count(*texts)
    for (s, d, i, words), one, other in zip(found.tolist(), *texts, strict=True):
        assert s + d + i == distance(one.split(), other.split())
        assert words == len(one.split())
        assert words - d + i == len(other.split())


def test_cases() -> None:
    found = count(["a b c", "a b", "a b", "", "", "a\xa0b"], ["a x c", "a", "x a  b", "", "a b", "a\tb"])
    assert found.tolist() == [[1, 0, 0, 3], [0, 1, 0, 2], [0, 0, 1, 2], [0, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]]
    total = summed(found)
    assert total == WordErrors(1, 1, 3, 9)
    assert (total.errors, total.rate) == (5, 5 / 9)
    assert WordErrors(0, 0, 2, 0).rate is None


def test_without_jiwer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(
        InputError, match=r"the package jiwer .* is not installed; install it: pip install '.\[wer\]'"
    ):
        count(["a"], ["a"])
