"""Hidden states of texts: against the reference of every cell, and side by side as one by one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_cell import every_cell
from networks import config, network

import rnnlm
from rnnlm.errors import InputError, TextError
from rnnlm.evaluation import hidden
from rnnlm.files.model_file import Trained
from rnnlm.network.reference.cells import STEPS
from rnnlm.text.vocabulary import Vocabulary

WORDS = ["a", "b", "c", "<unk>", "</s>"]
TEXTS = ["a b\nc", "c", "a zebra b b a c\n\na", "b a", "a b\nc"]


def made(model: dict[str, Any], layers: int = 2, precision: str = "float64") -> rnnlm.LanguageModel:
    """A random network that begins texts with a random state."""
    settings = config(layers=layers, hidden=6, precision=precision, model=model)
    weights = network(settings, len(WORDS))
    generator = np.random.default_rng(7)
    initial = [generator.normal(0, 0.5, cell.state_size).astype(weights.dtype) for cell in weights.cells]
    vocabulary = Vocabulary(WORDS, [1] * len(WORDS), "word", False)
    return rnnlm.LanguageModel(
        Trained(settings, vocabulary, weights.named, {}, Path("model.safetensors"), initial=initial)
    )


def reference(model: rnnlm.LanguageModel, text: str, state: str) -> list[np.ndarray]:
    """Of each layer the states after each token, by the reference's step: one token after the other."""
    network = model.network
    tokens = [word for line in text.removesuffix("\n").split("\n") for word in (*line.split(), "</s>")]
    states = [start[None] for start in network.initial]
    rows: list[list[np.ndarray]] = [[] for _ in network.cells]
    for token in ["</s>", *tokens]:
        if token == "</s>" and state == "reset":
            states = [start[None] for start in network.initial]
        below = network.table[[WORDS.index(token if token in WORDS else "<unk>")]]
        for layer, cell in enumerate(network.cells):
            states[layer] = STEPS[type(cell)](cell, network.parameters["cells"][layer], states[layer], below)
            below = states[layer][:, : cell.D_h]
            rows[layer].append(below[0])
    return [np.array(own[1:]) for own in rows]


@every_cell
@pytest.mark.parametrize("state", ["carry", "reset"])
def test_every_cell_agrees_with_its_reference(model: dict[str, Any], state: str) -> None:
    made_model = made(model)
    for text in TEXTS:
        for layer, wanted in enumerate(reference(made_model, text, state)):
            for number in (layer, layer - 2):
                found = made_model.hidden(text, state, layer=number)
                assert found.shape == (len(made_model.surprisal(text)), 6)
                np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-14)
    np.testing.assert_array_equal(made_model.hidden(TEXTS[0], state), made_model.hidden(TEXTS[0], state, layer=1))


@every_cell
@pytest.mark.parametrize("state", ["carry", "reset"])
def test_texts_side_by_side(model: dict[str, Any], state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one by one, whatever their lengths, how many there are, and where windows end."""
    made_model = made(model, layers=1)
    generator = np.random.default_rng(1)
    words = ["a", "b", "c", "zebra", "\n"]
    texts = [" ".join(generator.choice(words, length)) for length in (1, 200, *generator.integers(1, 40, 150))]
    texts = [text.replace(" \n ", "\n").strip(" ") for text in texts]
    together = made_model.hidden(texts, state)
    assert len(together) == len(texts)
    monkeypatch.setattr(hidden, "_ROWS", 7)
    for text, found in zip(texts, together, strict=True):
        np.testing.assert_allclose(found, made_model.hidden(text, state), rtol=1e-12, atol=1e-15)


def test_the_next_token_is_predicted_from_it() -> None:
    """The row of a token gives the log-probability of the token after it, by U and b2."""
    made_model = made({"cell": "gru"}, layers=1)
    text = "a b c a\n"
    h, p = made_model.hidden(text), made_model.parameters
    z2 = h @ p["output.U"] + p["output.b2"]
    log_y_hat = z2 - np.log(np.exp(z2).sum(axis=1, keepdims=True))
    scores = made_model.surprisal(text)
    wanted = [log_y_hat[t - 1, WORDS.index(scores[t].token)] for t in range(1, len(scores))]
    np.testing.assert_allclose([score.log_probability for score in scores[1:]], wanted, rtol=1e-12)


def test_layer_normalisation_comes_after() -> None:
    """What a layer hands on is normalised; its own state is not."""
    plain, normed = made({"cell": "elman"}, layers=1), made({"cell": "elman", "layer_norm": True}, layers=1)
    for name in ("embedding.table", "cell.0.I", "cell.0.H", "cell.0.b1"):
        normed.parameters[name][:] = plain.parameters[name]
    np.testing.assert_allclose(normed.hidden("a b"), plain.hidden("a b"), rtol=1e-12)


def test_prefixes_and_arrays_of_ones_own(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["word"])
    whole, prefix = model.hidden("the dog"), model.hidden("the dog", line_end=False)
    assert (whole.shape, prefix.shape, whole.dtype) == ((3, 16), (2, 16), np.float32)
    np.testing.assert_allclose(whole[:2], prefix, rtol=1e-6)
    before = whole.copy()
    model.hidden("a bird sings")
    np.testing.assert_array_equal(whole, before)
    assert model.hidden([]) == []
    assert rnnlm.load(runs["char"]).hidden("dog\n").shape == (4, 16)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"text": "a", "layer": 1}, InputError, "layer: found 1; must be from 0 to 0, or -1, the top one"),
        ({"text": "a", "layer": -2}, InputError, "layer: found -2"),
        ({"text": "a", "layer": "top"}, InputError, "^layer: found 'top'; must be from 0 to 0, or -1, the top one$"),
        ({"text": "a", "layer": None}, InputError, "layer: found None"),
        ({"text": "a", "layer": 0.5}, InputError, "layer: found 0.5"),
        ({"text": "a", "layer": False}, InputError, "layer: found False"),
        ({"text": "a", "state": "keep"}, InputError, "state: found keep; must be carry, reset or document"),
        ({"text": ""}, TextError, "text: empty"),
        ({"text": ["a", ""]}, TextError, "text: empty"),
    ],
)
def test_errors(runs: dict[str, Path], arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rnnlm.load(runs["word"]).hidden(**arguments)


def test_a_table_of_pandas(runs: dict[str, Path]) -> None:
    """pandas takes a list of records as rows."""
    pandas = pytest.importorskip("pandas")
    scores = rnnlm.load(runs["word"]).surprisal("the dog sees the zebra")
    table = pandas.DataFrame(scores)
    assert list(table.columns) == [field.name for field in dataclasses.fields(scores[0])]
    assert table["token"].tolist() == ["the", "dog", "sees", "the", "zebra", "</s>"]
    assert table["surprisal"].tolist() == [score.surprisal for score in scores]
    assert table["is_unk"].tolist() == [False] * 4 + [True, False]
