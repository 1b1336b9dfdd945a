"""Sampling: token by token against the oracle, what does not depend on what, and the limits of the settings."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import oracle
import pytest
from logits import log_softmax

import rnnlm
from rnnlm.errors import InputError
from rnnlm.sampling.draw import draw_token
from rnnlm.sampling.records import Sampled
from rnnlm.sampling.sample import Settings, filtered, left_out
from rnnlm.text import tokenizers
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Note


@pytest.fixture
def model(runs: dict[str, Path]) -> rnnlm.LanguageModel:
    return rnnlm.load(runs["word"])


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
        log_y_hat = oracle.predictions(
            weights, np.array([*tokens, 0]), vocabulary.line_end, "tanh", state, model.trained.initial
        )[-1].copy()
        log_y_hat[vocabulary.counts == 0] = -np.inf
        for seen in set(tokens):
            log_y_hat[seen] *= 1.7
        assert record.tokens == (vocabulary.tokens[int(log_y_hat.argmax())],)
        tokens.append(int(log_y_hat.argmax()))


@pytest.mark.parametrize("temperature", [1e-3, 1e-300, 5e-324])
def test_the_lowest_temperatures_take_the_most_likely(temperature: float) -> None:
    log_p = log_softmax([-1.0, 3.0, 2.9, -50.0])
    kept = filtered(log_p, Settings(temperature=temperature, top_p=0.9, min_p=0.1))
    np.testing.assert_array_equal(kept > 0, [False, True, False, False])
    assert draw_token(filtered(log_p, Settings(temperature=temperature)), np.random.default_rng(0)) == 1


@pytest.mark.parametrize("temperature", [1e38, 3.5e38, 1e39, 1e308])
def test_the_highest_temperatures_take_any_token(model: rnnlm.LanguageModel, temperature: float) -> None:
    """Without a warning, and none that is left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for more in ({}, {"top_k": 5}):
            words = model.sample(tokens=200, temperature=temperature, unk=False, **more).split()  # type: ignore[arg-type]
            assert "<unk>" not in words
            assert len(set(words)) >= 4


def test_a_token_that_is_left_out_stays_out() -> None:
    log_p = np.array([-np.inf, np.log(0.5), np.log(0.5)])
    for settings in (Settings(temperature=100), Settings(top_p=1.0), Settings(min_p=0.0), Settings(top_k=3)):
        assert filtered(log_p, settings)[0] == 0


def test_the_largest_penalty(model: rnnlm.LanguageModel) -> None:
    """Numbers that overflow say nothing and do not bring <unk> back."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for temperature in (0.0, 1e-310, 1.0):
            text = model.sample(tokens=60, repetition_penalty=1e308, temperature=temperature, unk=False)
            assert "<unk>" not in text
            assert set(text.split()) == {word for word in model.vocabulary.tokens if word not in ("<unk>", "</s>")}


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_the_tokens_joined_are_the_text(runs: dict[str, Path], unit: str) -> None:
    """Also where the network draws bytes that are no UTF-8."""
    model = rnnlm.load(runs[unit])
    settings = Settings(tokens=120, temperature=2.5, seed=4)
    joiner = tokenizers.joiner(unit, "the dog")
    steps = [record for record in model.sampling("the dog", settings) if isinstance(record, Sampled)]
    tokens = [step.tokens[0] for step in steps]
    assert len(tokens) == 120
    text = "the dog" + "".join(joiner.add(token) for token in tokens if token is not None) + joiner.rest()
    assert text == model.sample("the dog", tokens=120, temperature=2.5, seed=4)
    assert text == "the dog" + "".join(step.texts[0] for step in steps)
    assert all(step.texts[0].encode("utf-8").decode("utf-8") == step.texts[0] for step in steps)


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


@pytest.mark.parametrize(("unit", "text"), [("word", "dog \udcff"), ("char", "dog \udcff"), ("byte", "dog \ud800")])
def test_a_prompt_that_is_no_text(runs: dict[str, Path], unit: str, text: str) -> None:
    """What a command line makes of bytes that are not UTF-8; of bytes, half of a character in UTF-16."""
    model = rnnlm.load(runs[unit])
    for ask, name in ((model.sample, "prompt"), (model.next, "prefix")):
        with pytest.raises(InputError, match=f"^{name}: not UTF-8 at character 5; give UTF-8 text"):
            ask(text)


def test_a_prompt_of_bytes_that_are_no_text(runs: dict[str, Path]) -> None:
    """They are what the model reads: the next token's distribution is that of ``score`` after them."""
    model = rnnlm.load(runs["byte"])
    before, after = b"dog \xff".decode("utf-8", "surrogateescape"), "a"
    [line] = model.surprisal([before + after], state="reset")
    token = next(found for found in model.next(before) if found.token == after)
    assert token.surprisal == pytest.approx(line[5].surprisal, rel=1e-6)
    assert model.sample(before, 5).startswith("dog \ufffd")


def test_a_prompt_of_unknown_words_only(model: rnnlm.LanguageModel) -> None:
    records = list(model.sampling("zebra", Settings(tokens=2)))
    assert [type(record) for record in records] == [Note, Sampled, Sampled]
    assert records[0].warning


@pytest.mark.parametrize(
    ("name", "value"),
    [("tokens", 0), ("samples", 0), ("temperature", -1), ("temperature", float("nan")), ("top_k", 0), ("top_p", 0),
     ("top_p", 1.5), ("min_p", 2), ("repetition_penalty", 0.5), ("seed", -1), ("no_repeat", 0)],
)  # fmt: skip
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')}: found {value}; must be"):
        Settings(**{name: value})


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_a_sample_does_not_depend_on_how_many_there_are(runs: dict[str, Path], unit: str) -> None:
    model = rnnlm.load(runs[unit])
    alone = model.sample("the", tokens=30, seed=5)
    many = model.samples(4, "the", tokens=30, seed=5)
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
    model.vocabulary.counts[model.vocabulary.unk] = 3
    for more in ({}, {"top_k": 5}):
        assert "<unk>" in model.sample(tokens=20, **more)
        assert "<unk>" not in model.sample(tokens=20, unk=False, **more)


@pytest.mark.parametrize("settings", [{}, {"top_k": 3}, {"temperature": 0}, {"repetition_penalty": 1.5}])
@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_tokens_of_count_0_are_never_drawn(runs: dict[str, Path], unit: str, settings: dict[str, float]) -> None:
    model = rnnlm.load(runs[unit])
    unseen = model.vocabulary.counts == 0
    assert unseen.any()
    model.parameters["output.b2"][unseen] += 20
    text = model.sample(tokens=50, **settings)
    pieces = set(tokenizers.split(text, unit, lowercase=False))
    assert pieces <= {token for token, never in zip(model.vocabulary.tokens, unseen, strict=True) if not never}


def test_what_is_never_drawn() -> None:
    tokens = ["a", "b", "</s>", "<unk>"]
    for counts, unk, wanted in (
        ([1, 0, 2, 0], True, [1, 3]),
        ([1, 0, 2, 5], False, [1, 3]),
        ([0, 0, 0, 0], True, []),  # an imported model may have no counts
        ([0, 0, 0, 0], False, [3]),
    ):
        assert left_out(Vocabulary(tokens, counts, "word", False), unk).tolist() == wanted
    with pytest.raises(InputError, match="nothing but <unk> stood in the training text"):
        left_out(Vocabulary(tokens, [0, 0, 0, 9], "word", False), unk=False)


def test_stopping_at_the_line_end(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["word"])
    for text in model.samples(5, tokens=100, stop_at_line_end=True):
        assert text.count("\n") == 1
        assert text.endswith("\n")


def test_the_repetition_penalty(runs: dict[str, Path]) -> None:
    """So high that nothing comes twice, nor what the prompt has, until every token has come."""
    model = rnnlm.load(runs["word"])
    vocabulary = model.vocabulary
    seen = sorted(token for token, count in zip(vocabulary.tokens, vocabulary.counts.tolist(), strict=True) if count)
    words = len(seen) - 2
    records = list(model.sampling("the dog", Settings(tokens=words, repetition_penalty=1e6)))
    pieces = [record.tokens[0] for record in records]
    assert sorted([*pieces, "the", "dog"]) == seen


def test_a_byte_model_writes_valid_text(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["byte"])
    model.vocabulary.counts[:] = 1
    text = model.sample(tokens=300, temperature=3.0)
    assert "\ufffd" in text, "at this temperature some bytes are no UTF-8"
    assert text.encode("utf-8")
