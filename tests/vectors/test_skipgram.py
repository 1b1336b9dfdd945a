"""The gradient against differences of the loss, the examples against their definition, the result bit by bit."""

from __future__ import annotations

import itertools
import math
import re

import numba
import numpy as np
import pytest
from fake_text import FakeCorpus, FakeVocabulary, settings, words_of
from records import run

from rnnlm.kernels.jit import FASTMATH
from rnnlm.vectors import counting, skipgram


def loss(v_w: np.ndarray, u: np.ndarray, context: bool) -> float:
    score = float(v_w @ u)
    return math.log1p(math.exp(-score if context else score))


@pytest.mark.parametrize("context", [True, False])
def test_step_is_the_gradient_of_the_loss(context: bool) -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((2, 13))
    after = rows.copy()
    rate = 0.37
    skipgram.learn(after[0], after[1], context, rate)
    gradient = (rows - after) / rate
    for index in np.ndindex(rows.shape):
        high, low = rows.copy(), rows.copy()
        high[index] += 1e-6
        low[index] -= 1e-6
        numeric = (loss(high[0], high[1], context) - loss(low[0], low[1], context)) / 2e-6
        assert gradient[index] == pytest.approx(numeric, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("score", [-200.0, 200.0])
def test_step_stays_finite_for_extreme_scores(score: float) -> None:
    v_w, u = np.array([score], np.float32), np.ones(1, np.float32)
    skipgram.learn(v_w, u, score < 0, np.float32(0.1))
    assert v_w[0] == pytest.approx(score - math.copysign(0.1, score), rel=1e-6)
    assert np.isfinite(u).all()


def test_float32_step_has_no_double_in_it() -> None:
    learn = numba.njit(fastmath=FASTMATH, error_model="numpy")(
        skipgram.learn.py_func
    )  # code from the cache has no listing
    learn(np.ones(4, np.float32), np.ones(4, np.float32), True, np.float32(0.1))
    (code,) = learn.inspect_llvm().values()
    assert re.search(r"fmul[^\n]*float", code)
    assert not re.search(r"fpext|(fadd|fsub|fmul|fdiv)[^\n]*double", code)


def test_alias_table_gives_the_distribution() -> None:
    weights = np.array([5.0, 0, 1, 0.25, 3, 0, 11])
    probability, alias = skipgram.alias_table(weights)
    share = np.zeros(len(weights))
    for i in range(len(weights)):
        share[i] += probability[i] / len(weights)
        share[alias[i]] += (1 - probability[i]) / len(weights)
    np.testing.assert_allclose(share, weights / weights.sum(), atol=1e-7)
    assert share[1] == share[5] == 0


def examples_of(ids: list[int], line_end: int, words: int, window: int, negative: int, seed: int, workers: int = 1):
    counts = np.bincount(ids, minlength=words)
    tokens = np.array(ids, np.int32)
    line = np.cumsum(tokens == line_end) - (tokens == line_end)
    part = skipgram.deal_words(counts, min(16, words))
    probability, alias = skipgram.alias_table(counts**0.75)
    sampler = skipgram.Sampler(window, negative, probability, alias, part, int(part.max()) + 1, np.uint64(seed))
    return (*skipgram.make_examples(skipgram.Text(tokens, line, 0, len(tokens)), sampler, workers), part)


def test_contexts_are_exactly_the_pairs_within_lines_for_window_1() -> None:
    ids = np.random.default_rng(2).integers(0, 30, 400).tolist()
    w, target, _, _ = examples_of(ids, 0, 30, 1, 3, 9)
    pairs = sorted(zip(w[target >= 0].tolist(), target[target >= 0].tolist(), strict=True))
    expected = []
    for a, b in itertools.pairwise(ids):
        if a != 0:  # a line end is the last word of its line
            expected += [(a, b), (b, a)]
    assert pairs == sorted(expected)


def test_windows_shrink_evenly_and_noise_follows_the_distribution() -> None:
    n, window, negative = 20_000, 4, 3
    ids = np.random.default_rng(3).integers(1, 20, n)
    ids[ids < 12] = 1  # one frequent word
    w, target, _, _ = examples_of(ids.tolist(), 0, 20, window, negative, 4)
    contexts = np.count_nonzero(target >= 0)
    assert contexts / n == pytest.approx(window + 1, rel=0.02)  # 2 times the mean of 1..window
    counts = np.bincount(ids, minlength=20)
    P = counts**0.75 / (counts**0.75).sum()
    P_context = counts / n
    expected = contexts * negative * P * (1 - P_context)  # noise that equals its context is left out
    noise = np.bincount(~target[target < 0], minlength=20)
    np.testing.assert_allclose(noise[expected > 0], expected[expected > 0], rtol=0.05)
    assert not noise[expected == 0].any()
    assert len(w) == len(target)


@pytest.mark.parametrize("words", [3, 40])
def test_blocks_that_train_together_share_no_row(words: int) -> None:
    ids = np.random.default_rng(5).integers(0, words, 3000).tolist()
    w, target, starts, part = examples_of(ids, 0, words, 5, 5, 6)
    parts = min(16, words)
    row = np.where(target >= 0, target, ~target)
    assert len(starts) == parts * parts + 1
    assert starts[0] == 0
    assert starts[-1] == len(w)
    for block in range(parts * parts):
        inside = slice(starts[block], starts[block + 1])
        assert (part[w[inside]] == block // parts).all()
        assert (part[row[inside]] == block % parts).all()
    # Each row belongs to one part, so blocks (p, p + turn) of one turn are apart in both tables.
    assert part.shape == (words,)


def test_examples_do_not_depend_on_the_number_of_workers() -> None:
    ids = np.random.default_rng(7).integers(0, 50, 2000).tolist()
    one, three = examples_of(ids, 0, 50, 5, 5, 8, 1), examples_of(ids, 0, 50, 5, 5, 8, 3)
    for a, b in zip(one, three, strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_a_round_is_one_step_an_example_in_order() -> None:
    """Against a plain loop in float64 over the same examples."""
    ids = np.random.default_rng(9).integers(0, 25, 300).tolist()
    w, target, starts, part = examples_of(ids, 0, 25, 2, 2, 10)
    parts = int(part.max()) + 1
    rng = np.random.default_rng(11)
    v, u = rng.standard_normal((2, 25, 6)) * 0.3
    v_plain, u_plain = v.copy(), u.copy()
    skipgram.train(1, v, u, w, target, starts, 0.05)
    for turn in range(parts):
        for p in range(parts):
            block = p * parts + (p + turn) % parts
            for i in range(starts[block], starts[block + 1]):
                y = float(target[i] >= 0)
                row = target[i] if y else ~target[i]
                error = 1 / (1 + math.exp(-(v_plain[w[i]] @ u_plain[row]))) - y
                step_v, step_u = error * u_plain[row], error * v_plain[w[i]]
                v_plain[w[i]] -= 0.05 * step_v
                u_plain[row] -= 0.05 * step_u
    np.testing.assert_allclose(v, v_plain, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(u, u_plain, rtol=1e-10, atol=1e-12)


def grammar_text(lines: int, seed: int) -> tuple[FakeCorpus, FakeVocabulary]:
    rng = np.random.default_rng(seed)
    animals, verbs = [f"animal{i}" for i in range(6)], [f"verb{i}" for i in range(6)]
    return words_of("".join(f"the {rng.choice(animals)} {rng.choice(verbs)} here\n" for _ in range(lines)))


def test_words_of_one_class_get_close_vectors() -> None:
    corpus, vocabulary = grammar_text(4000, 1)
    table, _ = run(skipgram.make(corpus, vocabulary, settings("skipgram", 10, window=1, epochs=10), 1, 1))
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    of = {kind: unit[[word.startswith(kind) for word in vocabulary.tokens]] for kind in ("animal", "verb")}
    within = min(float((rows @ rows.T).min()) for rows in of.values())
    between = float((of["animal"] @ of["verb"].T).max())
    assert within > 0.75
    assert within > between + 0.3


def test_same_bytes_on_one_and_on_two_threads_and_other_bytes_for_another_seed() -> None:
    rng = np.random.default_rng(12)
    ids = np.minimum(rng.zipf(1.4, 60_000) - 1, 499)
    vocabulary = FakeVocabulary(["</s>", *map(str, range(499))])

    def table(seed: int, threads: int) -> bytes:
        asked = settings("skipgram", 16, epochs=1)
        return run(skipgram.make(FakeCorpus(ids), vocabulary, asked, seed, threads))[0].tobytes()

    two = table(1, 2)
    assert two == table(1, 2)
    assert two == table(1, 1)
    assert two != table(2, 2)


def test_progress_ends_at_all_passes_and_rate_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    monkeypatch.setattr(skipgram, "_ROUND_EXAMPLES", 36 * 1000)
    monkeypatch.setattr(skipgram, "train", lambda *given: rates.append(float(given[-1])))
    corpus, vocabulary = grammar_text(600, 2)
    _, records = run(skipgram.make(corpus, vocabulary, settings("skipgram", 4, epochs=2), 1, 1))
    assert [record.done for record in records] == [1000, 2000, 3000, 4000, 5000, 6000]
    assert {(record.total, record.unit) for record in records} == {(6000, "tokens")}
    np.testing.assert_allclose(rates, 0.025 * (1 - np.arange(6) / 6), rtol=1e-6)


@pytest.mark.parametrize("text", ["a b\n", "a\n", ""])
def test_tiny_texts_work(text: str) -> None:
    corpus, vocabulary = words_of(text)
    table, _ = run(skipgram.make(corpus, vocabulary, settings("skipgram", 5), 1, 2))
    assert table.shape == (len(vocabulary), 5)
    assert np.isfinite(table).all()


@pytest.mark.parametrize(("window", "negative"), [(5000, 5), (10**6, 5), (2**63 - 1, 5), (5, 5000), (3000, 3000)])
def test_a_large_window_or_many_negatives_train_every_line(window: int, negative: int) -> None:
    """Windows and noise beyond what a round holds: each word still meets every other one of its line."""
    corpus, vocabulary = words_of("a b c\n" * 20)
    asked = settings("skipgram", 8, window=window, negative=negative, epochs=2)
    before = settings("skipgram", 8, window=window, negative=1, epochs=1)
    table, records = run(skipgram.make(corpus, vocabulary, asked, 1, 2))
    start, _ = run(skipgram.make(FakeCorpus([]), vocabulary, before, 1, 1))
    assert np.isfinite(table).all()
    assert (np.abs(table - start).max(axis=1) > 1e-3)[[0, 2, 3, 4]].all(), "</s>, a, b and c have moved"
    assert records[-1].done == records[-1].total == 160


def test_windows_reach_through_the_whole_line_in_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines longer than a round: every pair of words within a line is met, and none across lines."""
    monkeypatch.setattr(skipgram, "_ROUND_EXAMPLES", 16)
    pairs: list[tuple[int, int]] = []

    def train(threads: int, v: object, u: object, w: np.ndarray, target: np.ndarray, *rest: object) -> None:
        pairs.extend(zip(w[target >= 0].tolist(), target[target >= 0].tolist(), strict=True))

    monkeypatch.setattr(skipgram, "train", train)
    monkeypatch.setattr(skipgram, "THINNING", 1.0)
    ids = [*range(1, 30), 0, *range(30, 50), 0]
    vocabulary = FakeVocabulary(["</s>", *map(str, range(1, 50))])
    run(skipgram.make(FakeCorpus(ids), vocabulary, settings("skipgram", 4, window=10**9, epochs=1), 1, 1))
    lines = [[*range(1, 30), 0], [*range(30, 50), 0]]
    assert sorted(pairs) == sorted((a, b) for line in lines for a in line for b in line if a != b)


def test_blocks_end_at_line_ends() -> None:
    ids = np.array([1, 0, 1, 1, 1, 0, 1, 0, 1, 1])
    found = list(counting.line_blocks(FakeCorpus(ids), 0, 3))
    assert found == [(0, 6), (6, 10)]
    assert counting.longest_line(FakeCorpus(ids), 0) == 4
    assert counting.longest_line(FakeCorpus([]), 0) == 0
