"""The initial state of a trained network: a slow mean over the states in which line ends are read, and where it is
used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from every_cell import every_cell
from networks import config, network

from rnnlm.network.decoder import Decoder
from rnnlm.network.initial_state import LineEndStates
from rnnlm.network.network import Network, Window
from rnnlm.network.scoring import mean_loss, score
from rnnlm.text import corpus
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary

LINE_END = 9
VOCABULARY = Vocabulary([*(f"w{i}" for i in range(9)), "</s>", "<unk>"], [1] * 11, "word", False)


def text(lines: int = 60, seed: int = 0) -> Corpus:
    """Lines of 0 to 7 words, some unknown; the last one does not end."""
    generator = np.random.default_rng(seed)
    tokens: list[str] = []
    for _ in range(lines):
        tokens += [f"w{i}" for i in generator.integers(0, 10, generator.integers(0, 8))]
        tokens.append("</s>")
    return corpus.from_tokens([*tokens, "w1"], 1, VOCABULARY, "text")


def one_by_one(net: Network, ids: list[int], begin: list[np.ndarray]) -> list[list[np.ndarray]]:
    """The states after each token of a text, before which a line has ended."""
    states, found = [state[None, :] for state in begin], []
    for token in (LINE_END, *ids):
        window = Window(np.array([[token]], np.int32), np.zeros((1, 1), np.bool_), states)
        states = net.states_after(net.forward(window), 1)
        found.append([state[0] for state in states])
    return found


def mean(net: Network, read: Corpus, **how: Any) -> list[np.ndarray] | None:
    line_ends = LineEndStates(net, LINE_END)
    for _ in score(net, read, "carry", line_ends=line_ends, **how):
        pass
    return line_ends.mean()


@every_cell
def test_the_mean_of_the_states_in_which_line_ends_are_read(model: dict[str, Any]) -> None:
    net = network(config(layers=2, model=model), 11, deviation=0.3)
    read = text()
    ids = read.ids(0, len(read)).tolist()
    states = one_by_one(net, ids, net.initial)  # item i: after token i - 1, so before token i
    wanted = [np.mean([states[i][layer] for i, id in enumerate(ids) if id == LINE_END], axis=0) for layer in (0, 1)]
    for how in ({}, {"window": 1}, {"window": 7}, {"window": 10_000}):
        found = mean(net, read, **how)
        assert found is not None
        for layer in (0, 1):
            np.testing.assert_allclose(found[layer], wanted[layer], rtol=0, atol=1e-13)
            assert np.abs(found[layer]).max() > 1e-3


def test_it_comes_with_the_loss_of_the_validation() -> None:
    net, read = network(config(), 11), text()
    line_ends = LineEndStates(net, LINE_END)
    assert mean_loss(net, read, "carry", line_ends) == mean_loss(net, read, "carry")
    found, wanted = line_ends.mean(), mean(net, read)
    assert found is not None
    assert wanted is not None
    assert (found[0] == wanted[0]).all()


def test_a_text_without_line_ends_has_none() -> None:
    assert mean(network(config(), 11), corpus.from_tokens(["w1", "w2"], 1, VOCABULARY, "text")) is None


@every_cell
@pytest.mark.parametrize("state", ["carry", "reset"])
def test_scoring_begins_with_it(model: dict[str, Any], state: str) -> None:
    """A text under carry, and under reset every line of it."""
    net, read = network(config(layers=2, model=model), 11), text(lines=12)
    generator = np.random.default_rng(3)
    net.initial = [generator.normal(0, 0.5, cell.state_size) for cell in net.cells]
    ids = read.ids(0, len(read)).tolist()
    wanted = []
    lines = [ids]
    if state == "reset":
        ends = [i + 1 for i, id in enumerate(ids) if id == LINE_END]
        lines = [part.tolist() for part in np.split(np.array(ids), ends)]
    for line in lines:
        decoder = Decoder(net, net.initial_states(1))
        for before, token in zip([LINE_END, *line[:-1]], line, strict=True):
            decoder.step(np.array([before], np.int32))
            wanted.append(decoder.log_distribution()[0, token])
    for batch in (1, 4):
        parts = list(score(net, read, state, batch=batch, window=5))
        order = np.argsort(np.concatenate([part.position for part in parts]))
        found = np.concatenate([part.log_probability for part in parts])[order]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11)


def test_the_decoder_goes_back_to_it() -> None:
    net = network(config(layers=2), 11)
    generator = np.random.default_rng(3)
    net.initial = [generator.normal(0, 0.5, cell.state_size) for cell in net.cells]
    fresh, later = Decoder(net, net.initial_states(1)), Decoder(net, net.initial_states(1))
    later.step(np.array([4], np.int32))
    fresh.step(np.array([LINE_END], np.int32))
    later.step(np.array([LINE_END], np.int32), np.array([True]))
    np.testing.assert_array_equal(later.log_distribution(), fresh.log_distribution())
