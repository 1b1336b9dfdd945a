"""What an update is made of, beside the network: windows, accumulated gradients, noise, averages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from networks import Case, config
from pydantic import ValidationError

from rnnlm.config.schema import Train
from rnnlm.network.network import Window
from rnnlm.network.parameters import Gradients
from rnnlm.training import noise, windows
from rnnlm.training.accumulation import Accumulated
from rnnlm.training.averaging import Average


def settings(**keys: Any) -> Train:
    return Train.model_validate(keys)


@pytest.mark.parametrize(("bptt", "stride", "length"), [(5, 5, 23), (5, 2, 10), (5, 5, 5), (35, 35, 7), (4, 1, 9)])
def test_windows_of_one_length(bptt: int, stride: int, length: int) -> None:
    found = windows.ends(settings(bptt=bptt, bptt_stride=stride), length, 0)
    assert found.tolist() == [min(i + stride, length) for i in range(0, length, stride)]


def test_windows_of_random_lengths() -> None:
    keys = settings(bptt=35, bptt_deviation=5)
    first, again, second = (windows.ends(keys, 100_000, epoch) for epoch in (0, 0, 1))
    assert (first == again).all()
    assert first[-1] == 100_000
    assert len(first) != len(second) or (first != second).any()
    lengths = np.diff(first, prepend=0)[:-1]
    assert lengths.min() >= 5
    short = lengths < 25  # two standard deviations below 35 and above 17.5
    assert short.mean() == pytest.approx(0.05 + 0.95 * 0.023, abs=0.015)
    assert lengths[~short].mean() == pytest.approx(35, abs=0.5)
    assert lengths[~short].std() == pytest.approx(5, abs=0.6)


def test_how_many_updates() -> None:
    assert windows.total_updates(settings(bptt=5, epochs=3), 23) == 15
    assert windows.total_updates(settings(bptt=5, epochs=3, accumulate=2), 23) == 9
    assert windows.total_updates(settings(bptt=5, epochs=3, max_updates=4), 23) == 4
    keys = settings(bptt=10, bptt_deviation=3, epochs=3, accumulate=2)
    assert windows.total_updates(keys, 500) == sum(math.ceil(len(windows.ends(keys, 500, e)) / 2) for e in range(3))


def test_random_lengths_and_overlapping_windows_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="bptt_deviation goes with windows that do not overlap"):
        settings(bptt=5, bptt_stride=2, bptt_deviation=1)
    settings(bptt=5, bptt_stride=5, bptt_deviation=1)


@pytest.mark.parametrize("tie", [False, True])
def test_accumulated_gradients_are_those_of_a_larger_batch(tie: bool) -> None:
    """Two halves of the streams, one after the other, against all streams at once."""
    keys = config(hidden=6, tie=tie)
    case = Case(keys, vocabulary=9, batch=6)
    whole = case.gradients(case.steps)
    accumulated = Accumulated(2)
    for half in (slice(0, 3), slice(3, 6)):
        inputs, targets, reset = (np.ascontiguousarray(a[:, half]) for a in (case.inputs, case.targets, case.reset))
        trace = case.network.forward(Window(inputs, reset, [state[half].copy() for state in case.states]))
        accumulated.add(case.network.backward(trace, targets, case.steps)[1])
    found = accumulated.mean()
    assert set(found.rows) == (set() if tie else {"embedding.table"})
    for name, (tokens, rows) in found.rows.items():
        assert tokens.tolist() == sorted(set(case.inputs.reshape(-1).tolist()))
        np.testing.assert_allclose(rows, whole[name][tokens], rtol=0, atol=1e-12)
    for name, value in found.dense.items():
        np.testing.assert_allclose(value, whole[name], rtol=0, atol=1e-12)


def test_gradient_noise() -> None:
    keys = settings(gradient_noise=0.3, seed=5)

    def noisy(updates: int, factor: float) -> np.ndarray:
        gradients = Gradients({"a": np.zeros((200, 300))}, {"b": (np.arange(3), np.zeros((3, 4)))})
        noise.add(keys, gradients, updates, factor)
        assert gradients.rows["b"][1].all()
        return gradients.dense["a"]

    first, later = noisy(0, 1.0), noisy(99, 1.0)
    assert (first == noisy(0, 1.0)).all()
    assert first.std() == pytest.approx(math.sqrt(0.3), rel=0.01)
    assert later.std() == pytest.approx(math.sqrt(0.3 / 100**0.55), rel=0.01)
    assert abs(np.corrcoef(first.reshape(-1), later.reshape(-1))[0, 1]) < 0.02
    # Clipping comes afterwards, and leaves the noise as large as it is said to be.
    np.testing.assert_allclose(noisy(0, 0.1) * 0.1, first, rtol=1e-12)


def test_no_noise_changes_nothing() -> None:
    gradients = Gradients({"a": np.ones(3)})
    noise.add(settings(), gradients, 0, 1.0)
    assert (gradients.dense["a"] == 1).all()


def test_the_trigger_of_asgd() -> None:
    """Merity et al., algorithm 1: worse than the best of all but the last n."""
    w = {"w": np.ones(4)}
    average = Average(settings(average={"type": "asgd", "patience": 2}), w)
    for losses, loss, due in [
        ([], 9.0, False),
        ([3.0, 4.0], 9.0, False),
        ([3, 4, 5], 2.9, False),
        ([3, 4, 5], 3.1, True),
    ]:
        average.begin_if_due(list(losses), loss)
        assert bool(average.values) == due
    for k in range(1, 4):
        w["w"][:] = k
        average.update(2)
    assert average.count == 3
    np.testing.assert_allclose(average.values["w"], 2.0)
    average.begin_if_due([3, 4, 5], 9.0)  # begins once
    assert average.count == 3
    with average.in_place():
        assert w["w"].tolist() == [2] * 4
    assert w["w"].tolist() == [3] * 4


def test_no_average_is_no_work() -> None:
    w = {"w": np.ones(4)}
    average = Average(settings(), w)
    average.update(2)
    average.begin_if_due([1, 1, 1, 1, 1, 1, 1], 9.0)
    with average.in_place():
        assert w["w"].tolist() == [1] * 4
    assert not average.values
