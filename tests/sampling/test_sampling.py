"""Generation: each filter against its definition, and what does not depend on what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import rnnlm
from rnnlm.errors import InputError
from rnnlm.sampling.records import Sampled
from rnnlm.sampling.sample import Settings, choose, filtered
from rnnlm.work import Note

LOGITS = st.lists(st.sampled_from([-3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.0]), min_size=1, max_size=12)
EXAMPLES = hypothesis_settings(max_examples=100, deadline=None)


def log_softmax(logits: list[float]) -> np.ndarray:
    z = np.array(logits)
    return z - np.log(np.exp(z).sum())


def by_falling_probability(p: np.ndarray) -> list[int]:
    """Of equals the lower id first."""
    return sorted(range(len(p)), key=lambda j: (-p[j], j))


@EXAMPLES
@given(LOGITS, st.integers(1, 14))
def test_top_k(logits: list[float], k: int) -> None:
    log_p = log_softmax(logits)
    kept = np.flatnonzero(filtered(log_p, Settings(top_k=k))).tolist()
    assert kept == sorted(by_falling_probability(np.exp(log_p))[:k])


@EXAMPLES
@given(LOGITS, st.floats(0.01, 1))
def test_top_p(logits: list[float], share: float) -> None:
    p = np.exp(log_softmax(logits))
    kept = np.flatnonzero(filtered(np.log(p), Settings(top_p=share))).tolist()
    order = by_falling_probability(p)
    fewest = next((n for n in range(1, len(p) + 1) if p[order[:n]].sum() >= share - 1e-12), len(p))
    assert len(kept) in (fewest, fewest + 1) if abs(p[order[:fewest]].sum() - share) < 1e-9 else len(kept) == fewest
    assert kept == sorted(order[: len(kept)])


@EXAMPLES
@given(LOGITS, st.floats(0, 1))
def test_min_p(logits: list[float], share: float) -> None:
    p = np.exp(log_softmax(logits))
    kept = filtered(np.log(p), Settings(min_p=share)) > 0
    clear = np.abs(p - share * p.max()) > 1e-9
    assert (kept == (p >= share * p.max()))[clear].all()
    assert kept.any()


@EXAMPLES
@given(LOGITS, st.floats(0.1, 5))
def test_temperature(logits: list[float], temperature: float) -> None:
    found = filtered(log_softmax(logits), Settings(temperature=temperature))
    wanted = np.exp(np.array(logits) / temperature)
    np.testing.assert_allclose(found / found.sum(), wanted / wanted.sum(), rtol=1e-9)


def test_temperature_zero_is_the_most_likely() -> None:
    log_p = log_softmax([0.0, 2.0, 2.0, 1.0])
    assert choose(log_p, Settings(temperature=0), np.random.default_rng(0)) == 1


def test_draws_follow_the_distribution() -> None:
    log_p = log_softmax([0.0, 1.0, -1.0, 2.0, -9.0])
    settings = Settings(temperature=1.5, top_k=4)
    wanted = filtered(log_p, settings)
    wanted /= wanted.sum()
    generator = np.random.default_rng(7)
    draws = 20_000
    counts = np.bincount([choose(log_p, settings, generator) for _ in range(draws)], minlength=5)
    assert counts[4] == 0
    statistic = ((counts - draws * wanted)[:4] ** 2 / (draws * wanted[:4])).sum()
    assert statistic < 16.3, "chi-square with 3 degrees of freedom, 0.1%"


@pytest.mark.parametrize(
    ("name", "value"),
    [("tokens", 0), ("samples", 0), ("temperature", -1), ("temperature", float("nan")), ("top_k", 0), ("top_p", 0),
     ("top_p", 1.5), ("min_p", 2), ("repetition_penalty", 0.5), ("seed", -1)],
)  # fmt: skip
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')}: found {value}; must be"):
        Settings(**{name: value})


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_a_sample_does_not_depend_on_how_many_there_are(runs: dict[str, Path], unit: str) -> None:
    model = rnnlm.load(runs[unit])
    alone = model.sample("the", tokens=30, seed=5)
    many = model.sample("the", tokens=30, samples=4, seed=5)
    assert many[0] == alone
    assert len(set(many)) > 1
    assert model.sample("the", tokens=30, seed=5) == alone
    assert model.sample("the", tokens=30, seed=6) != alone


def test_the_most_likely_text_is_what_the_network_says(runs: dict[str, Path]) -> None:
    """Against choosing from the surprisals of the text so far."""
    model = rnnlm.load(runs["word"])
    text = model.sample("a", tokens=6, temperature=0)
    words = text.replace("\n", " </s> ").split()
    for i in range(1, len(words)):
        scores = model.surprisal(" ".join(words[: i + 1]).replace(" </s> ", "\n").replace(" </s>", "\n"))
        assert scores[i].token == words[i]
        assert scores[i].rank == 1


def test_unknown_words_of_a_prompt_are_said(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["word"])
    records = list(model.sampling("the zebra and the zebra", Settings(tokens=3)))
    assert isinstance(records[0], Note)
    assert records[0].text == "not in the vocabulary, read as <unk>: 'zebra', 'and'"
    assert all(isinstance(record, Sampled) for record in records[1:])
    assert model.sample("the zebra", tokens=3).startswith("the zebra")


def test_unk_can_be_left_out(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["word"])
    model.parameters["output.b2"][model.vocabulary.unk] += 20
    assert "<unk>" in model.sample(tokens=20)
    assert "<unk>" not in model.sample(tokens=20, unk=False)


def test_stopping_at_the_line_end(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["word"])
    for text in model.sample(tokens=100, samples=5, stop_at_line_end=True):
        assert text.count("\n") == 1
        assert text.endswith("\n")


def test_the_repetition_penalty(runs: dict[str, Path]) -> None:
    """So high that nothing comes twice, nor what the prompt has, until every token has come."""
    model = rnnlm.load(runs["word"])
    words = len(model.vocabulary) - 2
    records = list(model.sampling("the dog", Settings(tokens=words, repetition_penalty=1e6)))
    pieces = [record.pieces[0] for record in records]
    assert sorted([*pieces, "the", "dog"]) == sorted(model.vocabulary.tokens)


def test_a_byte_model_writes_valid_text(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["byte"])
    text = model.sample(tokens=300, temperature=3.0)
    assert "\ufffd" in text, "at this temperature some bytes are no UTF-8"
    assert text.encode("utf-8")
