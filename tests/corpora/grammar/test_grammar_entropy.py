"""A grammar's entropy, length and perplexity: against closed forms, and against the mean of a sample."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnlm.corpora.grammar import Grammar, describe, slr_conflict


def test_geometric_recursion(read) -> None:
    """S -> a S (p) | b (1 - p): 1 / (1 - p) words and h(p) / (1 - p) nats."""
    g = read("start: S\nrules:\n  S:\n    a S: 7\n    B: 3\nwords:\n  B:\n    - {words: b}\n")
    p = 0.7
    entropy = -(p * math.log(p) + (1 - p) * math.log(1 - p)) / (1 - p)
    assert g.entropy() == pytest.approx(entropy, rel=1e-12)
    assert g.mean_length() == pytest.approx(1 / (1 - p), rel=1e-12)
    assert g.entropy_rate() == pytest.approx(entropy / (1 / (1 - p) + 1), rel=1e-12)
    assert g.lowest_perplexity() == pytest.approx(math.exp(entropy / (1 / (1 - p) + 1)), rel=1e-12)
    assert describe(g).entropy_per_sentence_bits == pytest.approx(entropy / math.log(2), rel=1e-12)
    assert describe(g).entropy_rate_bits == pytest.approx(math.log2(g.lowest_perplexity()), rel=1e-12)


def test_bernoulli_of_two_words(read) -> None:
    """One word of two, p = 1/4: h(1/4) nats, one word, and </s> for nothing."""
    g = read(
        "start: S\nrules:\n  S:\n    A: 1\nwords:\n  A:\n    - {words: x, weight: 1}\n    - {words: y, weight: 3}\n"
    )
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert g.entropy() == pytest.approx(entropy, rel=1e-12)
    assert g.mean_length() == pytest.approx(1, rel=1e-12)
    assert g.lowest_perplexity() == pytest.approx(math.exp(entropy / 2), rel=1e-12)


def test_center_embedding(read) -> None:
    """S -> a S b (p) | nothing (1 - p): 2 p / (1 - p) words; the empty sentence is one </s>."""
    g = read(
        "start: S\nrules:\n  S:\n    a S b: 1\n    C: 1\n  C:\n    '': 3\n    D: 1\nwords:\n  D:\n    - {words: d}\n"
    )
    # With p = 1/2 there is on average one pair, and C is drawn once.
    local = math.log(2) / 0.5
    c = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert g.entropy() == pytest.approx(local + c, rel=1e-12)
    assert g.mean_length() == pytest.approx(2 + 0.25, rel=1e-12)
    assert slr_conflict(g) is None
    assert "" in {sentence for sentence, _ in g.generate(50, 0)}


def test_two_nonterminals_that_call_each_other(read) -> None:
    """S -> x T, T -> y S (1/3) | z (2/3): solved by hand."""
    g = read("start: S\nrules:\n  S:\n    X T: 1\n  T:\n    y S: 1\n    z: 2\nwords:\n  X:\n    - {words: x}\n")
    h = -(1 / 3 * math.log(1 / 3) + 2 / 3 * math.log(2 / 3))
    assert g.entropy() == pytest.approx(h * 3 / 2, rel=1e-12)  # H_T = h + H_T / 3
    assert g.mean_length() == pytest.approx(3, rel=1e-12)  # L_T = 1 + (1 + L_T) / 3, L_S = 1 + L_T


def test_features_preferences_and_zipf(read) -> None:
    """A verb of weight w and an object of kind k come together as w * share(k); a free feature by its weights."""
    g = read(
        """
start: S
features: {n: {one: 3, many: 1}, k: [food, tool]}
zipf_shift: 1
rules:
  S:
    Verb[n, k] Noun[n, k]: 1
words:
  Noun[n, k]:
    - {k: food, words: cake/cakes pie/pies}
    - {k: tool, words: saw/saws}
  Verb[n, k]:
    - {words: eats/eat, weight: 2, k: food}
    - {words: uses/use, weight: 1, k: {food: 1, tool: 4}}
"""
    )
    # Zipf with shift 1: cake 1/2, pie 1/3, so 3/5 and 2/5 of food.
    kinds = {"eats": 2 / 3, "uses food": 1 / 15, "uses tool": 4 / 15}
    want = {
        "eats cake": kinds["eats"] * 0.6 * 0.75,
        "eat pies": kinds["eats"] * 0.4 * 0.25,
        "uses cake": kinds["uses food"] * 0.6 * 0.75,
        "use saws": kinds["uses tool"] * 0.25,
    }
    found = dict(g.generate(5000, 3))
    assert len(found) == 10
    for sentence, probability in want.items():
        assert found[sentence] == pytest.approx(math.log(probability), rel=1e-12)
    assert math.fsum(math.exp(value) for value in found.values()) == pytest.approx(1, rel=1e-12)
    assert g.entropy() == pytest.approx(-math.fsum(v * math.exp(v) for v in found.values()), rel=1e-12)


def test_entropy_is_the_mean_of_the_samples(english: Grammar, sample) -> None:
    values = np.array([-value for _, value in sample])
    assert abs(values.mean() - english.entropy()) < 4 * values.std(ddof=1) / math.sqrt(len(values))
    lengths = np.array([len(words) for words, _ in sample])
    assert abs(lengths.mean() - english.mean_length()) < 4 * lengths.std(ddof=1) / math.sqrt(len(lengths))
