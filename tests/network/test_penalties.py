"""Penalties on the last layer's activations: what they weigh, and their gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from every_cell import every_cell
from networks import Case, checked, config

from rnnlm.network.network import Network, Window

PENALTIES = ({"activation": 2.0}, {"temporal": 1.0}, {"activation": 0.5, "temporal": 2.0})
TRAINING = (1, 1)


def _penalty(network: Network, case: Case, first: int, last: int, loss_steps: int) -> float:
    """What is added to the loss of steps [first, last), begun from the state that the text has there."""
    states = case.states
    if first:
        trace = network.forward(Window(case.inputs[:first], case.reset[:first], case.states))
        states = [state.copy() for state in network.states_after(trace, first)]
    window = Window(case.inputs[first:last], case.reset[first:last], states)
    targets = case.targets[first:last]
    with_penalties = network.loss(network.forward(window, TRAINING), targets, loss_steps)
    return with_penalties - network.loss(network.forward(window), targets, loss_steps)


@every_cell
@pytest.mark.parametrize("penalties", PENALTIES, ids=lambda penalties: " and ".join(penalties))
def test_a_loss_is_penalised_once_however_far_windows_overlap(
    model: dict[str, Any], penalties: dict[str, float]
) -> None:
    """bptt_stride 1 and 2 of bptt 3 against one window of all steps."""
    case = Case(config(model=model, penalties=penalties), steps=8)
    whole = _penalty(case.network, case, 0, 8, 8)
    assert whole > 0.1
    for stride in (1, 2):
        ends = range(stride, 8 + 1, stride)
        parts = [_penalty(case.network, case, max(0, end - 3), end, stride) for end in ends]
        assert sum(parts) == pytest.approx(whole, rel=1e-12)


@every_cell
@pytest.mark.parametrize("loss_steps", [7, 3, 1])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_gradient_with_penalties(model: dict[str, Any], loss_steps: int, layers: int) -> None:
    """Against central differences and the reference implementation, in float64."""
    penalties = {"activation": 2.0, "temporal": 1.5}
    found = checked(Case(config(layers=layers, model=model, penalties=penalties)), loss_steps)
    assert found.passed, found.verdict
    for one in found.parameters:
        assert one.relative < 1e-7, one.name
        assert one.complex_step < 1e-12, one.name


def test_steps_before_the_losses_are_not_penalised() -> None:
    """Their h(t) are read through the losses' steps alone: a window longer by steps without a loss weighs the
    same."""
    case = Case(config(penalties={"activation": 1.0, "temporal": 1.0}), steps=6)
    assert _penalty(case.network, case, 0, 6, 2) == pytest.approx(_penalty(case.network, case, 4, 6, 2), rel=1e-12)


def test_a_reset_is_no_change() -> None:
    case = Case(config(penalties={"temporal": 1.0}), steps=4, resets=False)
    case.reset = np.ones_like(case.reset)
    assert _penalty(case.network, case, 0, 4, 4) == 0
