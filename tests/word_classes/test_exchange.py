"""Exchange clustering: against a slow one that counts all bigrams anew for every move."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from fake_text import FakeCorpus
from records import run

from rnnlm.word_classes import exchange


def text(V: int, tokens: int, seed: int) -> np.ndarray:
    """Ids of a Markov chain in which tokens of the same remainder by 3 come after one another."""
    generator = np.random.default_rng(seed)
    weights = 1 / np.arange(1, V + 1)
    after = np.stack([weights * np.where(np.arange(V) % 3 == (v + 1) % 3, 8, 1) for v in range(V)])
    ids = [0]
    for _ in range(tokens - 1):
        ids.append(generator.choice(V, p=after[ids[-1]] / after[ids[-1]].sum()))
    return np.array(ids, np.int32)


def log_likelihood(ids: list[int], own: list[int]) -> float:
    """LL, bigram by bigram: p(g(w) | g(v)) p(w | g(w))."""
    g = [own[i] for i in ids]
    both, left, right, words = Counter(pairwise(g)), Counter(g[:-1]), Counter(g[1:]), Counter(ids[1:])
    return sum(
        math.log(both[g[i], g[i + 1]] / left[g[i]]) + math.log(words[ids[i + 1]] / right[g[i + 1]])
        for i in range(len(ids) - 1)
    )


def slowly(ids: list[int], own: list[int], passes: int) -> list[int]:
    own, classes = list(own), max(own) + 1
    counts = Counter(ids[:-1])
    for _ in range(passes):
        moved = False
        for w in sorted(range(len(own)), key=lambda w: (-counts[w], w)):
            old = own[w]
            if own.count(old) == 1:
                continue
            found = [log_likelihood(ids, [*own[:w], k, *own[w + 1 :]]) for k in range(classes)]
            best = old
            for k, value in enumerate(found):
                if value > found[best] + 1e-6:
                    best = k
            own[w], moved = best, moved or best != old
        if not moved:
            break
    return own


@pytest.mark.parametrize(("V", "classes", "passes"), [(12, 3, 10), (12, 4, 1), (7, 7, 2), (9, 1, 2), (9, 8, 10)])
def test_the_classes_are_those_of_the_definition(V: int, classes: int, passes: int) -> None:
    ids = text(V, 300, V + classes)
    start = np.arange(V, dtype=np.int32) % classes
    own, notes = run(exchange.cluster(FakeCorpus(ids), start, passes))
    np.testing.assert_array_equal(own, slowly(ids.tolist(), start.tolist(), passes))
    before, after = (math.exp(-log_likelihood(ids.tolist(), classes.tolist()) / 299) for classes in (start, own))
    assert f"perplexity {after:.2f} of the class bigrams, {before:.2f} by frequency" in notes[-1].text
    assert after <= before
    assert (np.bincount(own, minlength=classes) > 0).all()


def test_it_finds_the_classes_that_made_the_text() -> None:
    ids = text(30, 20_000, 1)
    own, _ = run(exchange.cluster(FakeCorpus(ids), np.sort(np.arange(30, dtype=np.int32) % 3), 20))
    assert len({(int(own[w]), w % 3) for w in range(30)}) == 3


def test_blocks_of_the_text_are_counted_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ids, start = text(30, 1000, 2), np.arange(30, dtype=np.int32) % 4
    whole, _ = run(exchange.cluster(FakeCorpus(ids), start, 3))
    monkeypatch.setattr(exchange, "_BLOCK", 37)
    parts, _ = run(exchange.cluster(FakeCorpus(ids), start, 3))
    np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize("tokens", [0, 1])
def test_a_text_without_bigrams_moves_nothing(tokens: int) -> None:
    start = np.arange(5, dtype=np.int32) % 2
    own, _ = run(exchange.cluster(FakeCorpus(np.zeros(tokens, np.int32)), start, 3))
    np.testing.assert_array_equal(own, start)
