"""No n-gram twice: against a search of the whole text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import rnnlm
from rnnlm.sampling import filters
from rnnlm.sampling.repeats import Repeats
from rnnlm.sampling.sample import Settings
from rnnlm.text import tokenizers


def ngrams(tokens: list[int], n: int) -> list[tuple[int, ...]]:
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


@hypothesis_settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2), max_size=10), st.integers(1, 4), st.integers(0, 10))
def test_what_would_complete_an_ngram(tokens: list[int], n: int, first: int) -> None:
    found = Repeats(n, tokens[:first])
    for token in tokens[first:]:
        found.add(token)
    wanted = {j for j in range(3) if len(tokens) >= n and ngrams([*tokens, j], n)[-1] in ngrams(tokens, n)}
    assert set(found.completing()) == wanted


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("unit", ["word", "char"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_ngram_comes_twice(runs: dict[str, Path], unit: str, n: int, temperature: float) -> None:
    model = rnnlm.load(runs[unit])
    prompt = "the dog sees" if unit == "word" else "the do"
    kinds = int((model.vocabulary.counts > 0).sum())
    tokens = kinds - len(prompt) if n == 1 else 60
    if n == 1 and unit == "word":
        tokens = kinds - 3
    for sample in model.sample_scored(prompt, tokens, count=4, no_repeat=n, temperature=temperature):
        before = list(tokenizers.split(prompt, unit, lowercase=False))
        found = ngrams([model.vocabulary.id(token) or 0 for token in [*before, *sample.tokens]], n)
        assert len(sample.tokens) == tokens
        assert len(set(found)) == len(found)
    if temperature == 0 and n > 1:
        without = model.sample_scored(prompt, tokens, temperature=0)[0].tokens
        assert len(set(ngrams([model.vocabulary.id(token) or 0 for token in without], n))) < tokens - n + 1


def test_the_ban_is_lifted_where_nothing_else_is_left(runs: dict[str, Path]) -> None:
    """Every token that is ever drawn comes once; the next one is drawn as if there were no ban."""
    model = rnnlm.load(runs["word"])
    kinds = int((model.vocabulary.counts > 0).sum())
    (sample,) = model.sample_scored("", kinds + 1, no_repeat=1, temperature=0)
    assert len(set(sample.tokens[:kinds])) == kinds
    text = tokenizers.join(sample.tokens[:kinds], "word")
    likely = [token.token for token in model.next(text) if model.vocabulary.counts[model.vocabulary.id(token.token)]]
    assert sample.tokens[kinds] == likely[0]


def test_forbidden_tokens() -> None:
    log_y = np.log([0.5, 0.25, 0.25])
    filters.forbid(log_y, [0, 0])
    np.testing.assert_array_equal(np.exp(log_y), [0, 0.25, 0.25])
    filters.forbid(log_y, [1, 2])
    np.testing.assert_array_equal(np.exp(log_y), [0, 0.25, 0.25])
    filters.forbid(log_y, [])
    np.testing.assert_array_equal(np.exp(log_y), [0, 0.25, 0.25])


def test_the_other_filters_come_behind_it(runs: dict[str, Path]) -> None:
    """top-k 1 of what is not forbidden, not what is not forbidden of top-k 1."""
    model = rnnlm.load(runs["word"])
    greedy = model.sample("the", tokens=20, no_repeat=2, temperature=0)
    assert model.sample("the", tokens=20, no_repeat=2, top_k=1, seed=7) == greedy
    assert not Settings(no_repeat=2).only_temperature
