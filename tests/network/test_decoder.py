"""Token by token gives what whole windows give, and draws what the probabilities say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from every_cell import every_cell
from networks import Case, config

from rnnlm.network.decoder import Decoder
from rnnlm.network.outputs.softmax import logits
from rnnlm.network.protocols import Draw


@every_cell
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("layers", "tie"), [(1, False), (3, True)])
@pytest.mark.parametrize("vocabulary", [11, 1500])
def test_the_same_probabilities_as_in_a_window(
    model: dict[str, Any], precision: str, layers: int, tie: bool, vocabulary: int
) -> None:
    settings = config(d=6, hidden=20, layers=layers, tie=tie, precision=precision, model=model)
    case = Case(settings, vocabulary, steps=12)
    network, close = case.network, {"rtol": 0, "atol": 1e-12 if precision == "float64" else 2e-5}
    decoder = Decoder(network, case.states)
    for t in range(case.steps):
        decoder.step(case.inputs[t], case.reset[t])
        wanted = network.log_distribution(case.forward(steps=t + 1))
        np.testing.assert_allclose(decoder.log_distribution(), wanted, **close)


def test_the_states_that_it_starts_from_are_left_alone() -> None:
    case = Case(config())
    before = [state.copy() for state in case.states]
    decoder = Decoder(case.network, case.states)
    for _ in range(3):
        decoder.step(case.inputs[0])
    assert all((a == b).all() for a, b in zip(before, case.states, strict=True))


def test_a_stream_is_the_same_whatever_the_number_of_streams() -> None:
    """To the last bit: otherwise sample 1 of 1 and sample 1 of 64 could part ways."""
    case = Case(config("tanh", d=30, hidden=70, precision="float32"), vocabulary=600, batch=64)
    many, one = Decoder(case.network, case.states), Decoder(case.network, [state[:1] for state in case.states])
    for t in range(case.steps):
        many.step(case.inputs[t])
        one.step(case.inputs[t, :1])
        assert (many.log_distribution()[0] == one.log_distribution()[0]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_draws_have_the_probabilities(dtype: type, temperature: float) -> None:
    z = np.array([1.0, -2.0, 0.5, 3.0, -200.0, 2.0])
    draws = 40_000
    uniforms = (np.arange(draws) + 0.5) / draws
    found = logits.draw(np.tile(z, (draws, 1)).astype(dtype), Draw(temperature, uniforms), 2)
    wanted = np.exp((z - z.max()) / temperature)
    wanted /= wanted.sum()
    np.testing.assert_allclose(np.bincount(found, minlength=6) / draws, wanted, rtol=0, atol=2 / draws)
    found = logits.draw(np.tile(z, (draws, 1)).astype(dtype), Draw(temperature, uniforms, np.array([3, 5])), 1)
    assert not np.isin(found, [3, 5]).any()
    wanted[[3, 5]] = 0
    np.testing.assert_allclose(np.bincount(found, minlength=6) / draws, wanted / wanted.sum(), rtol=0, atol=2 / draws)


def test_temperature_0_takes_the_first_of_the_most_probable() -> None:
    z = np.array([[1.0, 5.0, 5.0], [9.0, 0.0, 9.0]])
    assert logits.draw(z.copy(), Draw(0.0, np.zeros(2)), 1).tolist() == [1, 0]
    assert logits.draw(z.copy(), Draw(0.0, np.zeros(2), np.array([0])), 1).tolist() == [1, 2]


@pytest.mark.parametrize("uniform", [0.0, np.nextafter(1.0, 0.0)])
def test_the_ends_of_the_unit_interval(uniform: float) -> None:
    z = np.full((1, 1000), -500.0, np.float32)
    z[0, 300:302] = 0
    found = logits.draw(z, Draw(1.0, np.array([uniform])), 1)[0]
    assert found == (300 if uniform == 0 else 301)
