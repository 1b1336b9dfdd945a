"""A cell and an output layer of one's own pass through the generic tests of gradients and sampling as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import Case, checked, config
from own_layers import Bigram, Diagonal, bigram_log_y_hat, diagonal_step

from rnnlm.errors import InputError
from rnnlm.gradients.ledger import walk
from rnnlm.network.cells import Elman
from rnnlm.network.decoder import Decoder
from rnnlm.network.network import Network, Window
from rnnlm.network.outputs import Softmax
from rnnlm.network.parameters import Parameters
from rnnlm.network.protocols import Cell, Draw, OutputLayer
from rnnlm.network.reference import cells as reference_cells
from rnnlm.network.reference import outputs as reference_outputs
from rnnlm.network.reference.cells_backward import BACKWARD
from rnnlm.sampling import prompts
from rnnlm.sampling.records import Sampled
from rnnlm.sampling.sample import Settings, sample
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.update import TrainingWindow, update

V, D, HIDDEN = 9, 5, 6
COUNTS = np.arange(1, V + 1)
NETWORKS: dict[str, tuple[list[Cell[Any, Any]], OutputLayer[Any]]] = {
    "own cells": ([Diagonal(D, HIDDEN), Diagonal(HIDDEN, HIDDEN)], Softmax(HIDDEN, D, V)),
    "own output layer": ([Diagonal(D, HIDDEN)], Bigram(HIDDEN, V)),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


@pytest.fixture(autouse=True)
def _references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(reference_cells.STEPS, Diagonal, diagonal_step)
    monkeypatch.setitem(reference_outputs.LOG_Y_HAT, Bigram, bigram_log_y_hat)


def made(name: str, **settings: Any) -> Network:
    cells, output = NETWORKS[name]
    generator = np.random.default_rng(3)
    parameters = Parameters(
        embedding={"table": generator.normal(size=(V, D))},
        cells=[cell.init(generator) for cell in cells],
        norms=[{} for _ in cells],
        output=output.init(np.float64, generator),
    )
    return Network(
        config(d=D, hidden=HIDDEN, layers=len(cells), **settings),
        cells,
        output,
        parameters,
        tables=output.tables(COUNTS),
    )


def case(name: str, **settings: Any) -> Case:
    return Case(made(name, **settings), V)


@every_network
def test_gradients(name: str) -> None:
    found = checked(case(name), 5)
    assert found.passed, found.verdict
    assert {one.name for one in found.parameters} == set(made(name).named)
    assert all(one.relative < 1e-7 and one.complex_step < 1e-12 for one in found.parameters)


def test_the_ledger_refuses_a_layer_without_a_backward_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no backward reference of this network's cell, Diagonal"):
        walk.check(made("own cells"))
    monkeypatch.setitem(BACKWARD, Diagonal, BACKWARD[Elman])
    walk.check(made("own cells"))
    with pytest.raises(InputError, match="no backward reference of this network's output layer, Bigram"):
        walk.check(made("own output layer"))


def test_gradients_with_recurrent_dropout() -> None:
    found = checked(case("own cells", model={"dropout": {"output": 0.3, "recurrent": 0.4}}), 5)
    assert found.passed, found.verdict
    assert found.dropping


@every_network
def test_token_by_token_is_a_window(name: str) -> None:
    own = case(name)
    decoder = Decoder(own.network, own.states)
    for t in range(own.steps):
        decoder.step(own.inputs[t], own.reset[t])
        wanted = own.network.log_distribution(own.forward(steps=t + 1))
        np.testing.assert_allclose(decoder.log_distribution(), wanted, rtol=0, atol=1e-12)
        np.testing.assert_allclose(np.exp(wanted).sum(axis=1), 1, rtol=1e-13)
        chosen = decoder.draw(Draw(0.0, np.zeros(own.batch)))
        assert (chosen == wanted.argmax(axis=1)).all()
    scores = own.network.scores(own.forward(), own.targets)
    np.testing.assert_allclose(
        scores.log_probability[-1], np.take_along_axis(wanted, own.targets[-1][:, None], axis=1)[:, 0], atol=1e-12
    )


@every_network
def test_sampling_and_training(name: str) -> None:
    network = made(name, learning_rate=0.1)
    words = Vocabulary([*"abcdefg", "<unk>", "</s>"], COUNTS, "word", False)
    several = [prompts.encode(text, words) for text in ("a b", "", "c d e")]

    def steps_of(settings: Settings) -> list[Sampled]:
        return [step for step in sample(network, words, several, "reset", settings) if isinstance(step, Sampled)]

    for settings in (Settings(tokens=20), Settings(tokens=20, top_k=3)):
        steps = steps_of(settings)
        assert len(steps) == 20
        scored = steps_of(replace(settings, log_probabilities=True))
        assert [step.tokens for step in scored] == [step.tokens for step in steps]
        assert all(step.log_probabilities and max(step.log_probabilities) < 0 for step in scored)
    ids = np.random.default_rng(0).integers(0, V, (8, 4)).astype(np.int32)
    window = Window(ids[:-1], np.zeros((7, 4), np.bool_), network.initial_states(4))
    optimizer = Optimizer(network.config.train, network.named)
    losses = [
        update(network, optimizer, [TrainingWindow(window, ids[1:], 7, (1, number))], 1, 0.1).loss
        for number in range(60)
    ]
    assert losses[-1] < 0.5 * losses[0]


def test_layers_tell_when_their_gradients_are_complete() -> None:
    """From the output layer down, each while the layers below it are still to come."""
    own, told = case("own cells"), []
    trace = own.network.forward(Window(own.inputs, own.reset, own.states))
    _, gradients = own.network.backward(
        trace, own.targets, 5, complete=lambda layer, arrays: told.append((layer, sorted(arrays)))
    )
    assert told == [("output", ["U", "b2"]), ("cell.1", ["I", "w"]), ("cell.0", ["I", "w"])]
    assert set(gradients.rows) == {"embedding.table"}


def test_tied_weights_are_complete_with_the_embedding() -> None:
    own, told = Case(config("tanh", d=5, hidden=5, tie=True), vocabulary=V), {}
    trace = own.network.forward(Window(own.inputs, own.reset, own.states))

    def tell(layer: str, arrays: dict[str, np.ndarray]) -> None:
        told[layer] = {name: array.copy() for name, array in arrays.items()}

    _, gradients = own.network.backward(trace, own.targets, 5, complete=tell)
    assert list(told) == ["output", "cell.0", "embedding"]
    assert list(told["output"]) == ["b2"]
    assert (told["embedding"]["table"] == gradients.dense["embedding.table"]).all()


def test_the_initial_state_may_be_another_than_0() -> None:
    """It stands at the beginning and after each reset, and gets no gradient."""
    own = Case(config("tanh"), vocabulary=V)
    initial = [np.full(6, 0.3)]
    first = own.network.forward(Window(own.inputs, own.reset, own.states, initial)).up.copy()
    steps = np.flatnonzero(own.reset[:, 0])
    assert steps.size
    t = int(steps[0])
    states = [np.tile(initial[0], (own.batch, 1))]
    again = own.network.forward(Window(own.inputs[t:], own.reset[t:], states, initial)).up
    np.testing.assert_allclose(again[:, 0], first[t:, 0], rtol=0, atol=1e-15)
    zero = own.network.forward(Window(own.inputs, own.reset, own.states)).up
    assert np.abs(zero[t:, 0] - first[t:, 0]).max() > 1e-3
