"""Generation where it is easily wrong: at the limits of the settings, and token by token against the oracle."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import oracle
import pytest

import rnnlm
from rnnlm.errors import InputError
from rnnlm.sampling.records import Sampled
from rnnlm.sampling.sample import Settings, _penalised, choose, filtered
from rnnlm.text import tokenizer
from rnnlm.work import Note


@pytest.fixture
def model(runs: dict[str, Path]) -> rnnlm.LanguageModel:
    return rnnlm.load(runs["word"])


def log_softmax(logits: list[float]) -> np.ndarray:
    z = np.array(logits)
    return z - np.log(np.exp(z).sum())


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_every_choice_is_made_from_the_oracles_prediction(model: rnnlm.LanguageModel, state: str) -> None:
    """A chain of most likely tokens under a repetition penalty: each is the oracle's, penalised by hand."""
    vocabulary = model.vocabulary
    settings = Settings(tokens=12, temperature=0, repetition_penalty=1.7)
    train = model.config.train.model_copy(update={"state": state})
    model.config = model.config.model_copy(update={"train": train})
    prompt = ["the", "dog", "</s>", "a"]
    tokens = [vocabulary.id(word) for word in prompt]
    weights = {name: value.astype(np.float64) for name, value in model.parameters.items()}
    for record in model.sampling("the dog\na", settings):
        assert isinstance(record, Sampled)
        # The prediction at the end of the text so far: that of a text with one more token, whichever.
        log_y_hat = oracle.predictions(weights, np.array([*tokens, 0]), vocabulary.line_end, "tanh", state)[-1].copy()
        for seen in set(tokens):
            log_y_hat[seen] *= 1.7
        assert record.pieces == (vocabulary.tokens[int(log_y_hat.argmax())],)
        tokens.append(int(log_y_hat.argmax()))


def test_draws_follow_what_all_filters_together_leave() -> None:
    """Chi-square of 20,000 draws, 0.1%; what is left worked out by hand: y^ = 8, 4, 2, 1, 1 sixteenths."""
    log_p = np.log(np.array([1, 8, 2, 4, 1]) / 16)
    settings = Settings(top_k=4, top_p=0.9, min_p=0.2)
    wanted = np.array([0, 8, 2, 4, 0]) / 14
    kept = filtered(log_p, settings)
    np.testing.assert_allclose(kept / kept.sum(), wanted, rtol=1e-12)
    generator = np.random.default_rng(11)
    counts = np.bincount([choose(log_p, settings, generator) for _ in range(20_000)], minlength=5)
    assert counts[[0, 4]].sum() == 0
    expected = 20_000 * wanted[[1, 2, 3]]
    assert ((counts[[1, 2, 3]] - expected) ** 2 / expected).sum() < 13.8, "2 degrees of freedom"


@pytest.mark.parametrize("temperature", [1e-3, 1e-300, 5e-324])
def test_the_lowest_temperatures_take_the_most_likely(temperature: float) -> None:
    log_p = log_softmax([-1.0, 3.0, 2.9, -50.0])
    kept = filtered(log_p, Settings(temperature=temperature, top_p=0.9, min_p=0.1))
    np.testing.assert_array_equal(kept > 0, [False, True, False, False])
    assert choose(log_p, Settings(temperature=temperature), np.random.default_rng(0)) == 1


def test_the_highest_temperatures_take_any() -> None:
    np.testing.assert_allclose(filtered(log_softmax([-9.0, 3.0, 0.0]), Settings(temperature=1e300)), 1)


def test_a_token_that_is_left_out_stays_out() -> None:
    log_p = np.array([-np.inf, np.log(0.5), np.log(0.5)])
    for settings in (Settings(temperature=100), Settings(top_p=1.0), Settings(min_p=0.0), Settings(top_k=3)):
        assert filtered(log_p, settings)[0] == 0


def test_a_penalty_that_overflows_leaves_something_to_draw_from() -> None:
    log_p = np.log(np.full((1, 10), 0.1))
    penalised = _penalised(log_p, np.full((1, 10), True), 1.7e308)
    assert np.isfinite(penalised).all()
    np.testing.assert_array_equal(filtered(penalised[0], Settings()), 1)


def test_the_largest_penalty(model: rnnlm.LanguageModel) -> None:
    """Numbers that overflow say nothing and do not bring <unk> back."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for temperature in (0.0, 1e-310, 1.0):
            text = model.sample(tokens=60, repetition_penalty=1e308, temperature=temperature, unk=False)
            assert "<unk>" not in text
            assert set(text.split()) == {word for word in model.vocabulary.tokens if word not in ("<unk>", "</s>")}


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_the_pieces_joined_are_the_text(runs: dict[str, Path], unit: str) -> None:
    """Also where the network draws bytes that are no UTF-8."""
    model = rnnlm.load(runs[unit])
    settings = Settings(tokens=120, temperature=2.5, seed=4)
    joiner = tokenizer.Joiner(unit, "the dog")
    pieces = [record.pieces[0] for record in model.sampling("the dog", settings) if isinstance(record, Sampled)]
    assert len(pieces) == 120
    shown = [joiner.add(piece) for piece in pieces if piece is not None]
    text = "the dog" + "".join(shown) + joiner.rest()
    assert text == model.sample("the dog", tokens=120, temperature=2.5, seed=4)
    assert all(piece.encode("utf-8").decode("utf-8") == piece for piece in shown)


@pytest.mark.parametrize("prompt", ["", " ", "\n", "the", "the ", "the\n", "the\r\n", "\n\nthe"])
def test_a_text_begins_with_its_prompt(model: rnnlm.LanguageModel, prompt: str) -> None:
    text = model.sample(prompt, tokens=4, seed=1)
    assert text.startswith(prompt)
    words = text[len(prompt) :]
    assert words.startswith((" ", "\n")) == prompt.endswith("the"), "a space between two words, none after a space"


def test_the_prompt_is_read_as_a_text_is(model: rnnlm.LanguageModel) -> None:
    """White space between words says nothing, a new line does."""
    after = [
        model.sample(f"the{space}dog", tokens=8, temperature=1.5)[7 + len(space) - 1 :] for space in (" ", "  ", "\t")
    ]
    assert len(set(after)) == 1
    assert model.sample("the\ndog", tokens=8, temperature=1.5)[7:] != after[0]


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_a_prompt_that_is_no_text(runs: dict[str, Path], unit: str) -> None:
    """What a command line makes of bytes that are not UTF-8."""
    with pytest.raises(InputError, match="--prompt: not UTF-8 at character 5; give UTF-8 text"):
        rnnlm.load(runs[unit]).sample("dog \udcff")


def test_a_prompt_of_unknown_words_only(model: rnnlm.LanguageModel) -> None:
    records = list(model.sampling("zebra", Settings(tokens=2)))
    assert [type(record) for record in records] == [Note, Sampled, Sampled]
    assert records[0].warning
