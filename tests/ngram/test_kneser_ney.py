"""Modified Kneser-Ney: against a few lines of plain Python, sums of 1, and the figures of KenLM."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlm.ngram import kneser_ney
from rnnlm.ngram.kneser_ney import estimate
from rnnlm.text import corpus, vocabulary
from rnnlm.work import run_to_end

WORDS, LINE_END = 9, 8  # ids 0 ... 8; <s> is 9


def text(tokens: int = 2000, seed: int = 0) -> np.ndarray:
    """Lines of 0 to some 10 words by Zipf's law; word 7 never comes."""
    generator = np.random.default_rng(seed)
    p = 1 / np.arange(1, 10)
    p[7] = 0
    return np.append(generator.choice(9, tokens - 1, p=p / p.sum()), LINE_END)


def lines_of(ids: np.ndarray) -> list[tuple[int, ...]]:
    """Each line with <s> before it."""
    found, line = [], [WORDS]
    for id in ids.tolist():
        line.append(id)
        if id == LINE_END:
            found.append(tuple(line))
            line = [WORDS]
    return found + ([tuple(line)] if len(line) > 1 else [])


class Slow:
    """The same model, word by word, from dictionaries."""

    def __init__(self, ids: np.ndarray, order: int) -> None:
        counts: Counter[tuple[int, ...]] = Counter()
        for line in lines_of(ids):
            for n in range(1, order + 1):
                counts.update(line[i : i + n] for i in range(len(line) - n + 1))
        lefts: dict[tuple[int, ...], set[int]] = defaultdict(set)
        for gram in counts:
            if len(gram) > 1:
                lefts[gram[1:]].add(gram[0])
        self.a = {g: c if len(g) == order or g[0] == WORDS else len(lefts[g]) for g, c in counts.items()}
        self.a.pop((WORDS,))
        self.d = {}
        for n in range(1, order + 1):
            t = [sum(1 for g, a in self.a.items() if len(g) == n and a == k) for k in range(5)]
            self.d[n] = [0.0, 0.5, 1.0, 1.5]
            if all(t[1:]):
                y = t[1] / (t[1] + 2 * t[2])
                found = [k - (k + 1) * y * t[k + 1] / t[k] for k in (1, 2, 3)]
                if all(0 < d < k for k, d in enumerate(found, 1)):
                    self.d[n] = [0.0, *found]

    def p(self, context: tuple[int, ...], word: int) -> float:
        after = {g[-1]: a for g, a in self.a.items() if g[:-1] == context}
        lower = self.p(context[1:], word) if context else 1 / WORDS
        if not after:
            return lower
        d = self.d[len(context) + 1]
        total = sum(after.values())
        own = after.get(word, 0)
        gamma = sum(d[min(a, 3)] for a in after.values()) / total
        return (own - d[min(own, 3)]) / total + gamma * lower


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("tokens", [40, 2000])
def test_every_token_as_word_by_word(order: int, tokens: int) -> None:
    """Of the text itself and of another one, with the discounts of the text and with those of a short one."""
    ids = text(tokens)
    slow, model = Slow(ids, order), estimate(ids, order, WORDS, LINE_END)
    for read in (ids[:200], text(150, 1), np.array([7, 7, 0, LINE_END, LINE_END, 1])):
        wanted = []
        for line in lines_of(read):
            for i in range(1, len(line)):
                wanted.append(math.log(slow.p(line[max(0, i - order + 1) : i], line[i])))
        np.testing.assert_allclose(model.scores(read), wanted, rtol=1e-12)


def test_both_kinds_of_discounts_are_met() -> None:
    assert Slow(text(40), 3).d[1] == [0.0, 0.5, 1.0, 1.5]
    assert Slow(text(2000), 5).d[5] != [0.0, 0.5, 1.0, 1.5]
    assert kneser_ney._discounts(np.array([1, 1, 1, 2, 2, 3, 4])).tolist() != kneser_ney._FALLBACK.tolist()


@pytest.mark.parametrize("order", [1, 3, 5])
def test_probabilities_sum_to_one(order: int) -> None:
    """After every context of up to three words, seen or not, and at a line's beginning."""
    model = estimate(text(), order, WORDS, LINE_END)
    contexts = [c for n in range(4) for c in itertools.product(range(8), repeat=n)][:600]
    for context in contexts:
        total = 0.0
        for word in range(WORDS):
            total += math.exp(model.scores(np.array([*context, word]))[-1])
        assert total == pytest.approx(1, abs=1e-12)


def test_the_figures_of_kenlm(ptb: Path, tmp_path: Path) -> None:
    """Perplexity of the test text: 148.28 of 3-grams, 141.19 of 5-grams."""
    words = run_to_end(vocabulary.build(ptb / "ptb.train.txt", "word", False, 1, None))
    read: dict[str, Any] = {}
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        found = run_to_end(corpus.read(ptb / f"ptb.{name}.txt", words, tmp_path / name))
        read[name] = found.ids(0, len(found))
    for order, perplexity in ((3, 148.28), (5, 141.19)):
        model = estimate(read["train"], order, len(words), words.line_end)
        assert math.exp(-model.scores(read["test"]).mean()) == pytest.approx(perplexity, rel=1e-3)
