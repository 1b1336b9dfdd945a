"""Averages of the weights over updates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_runs import start_weights

from rnnlm.config.schema import Train
from rnnlm.files import model_file
from rnnlm.training.averaging import Average
from rnnlm.training.loop import train
from rnnlm.training.records import Checkpoint


def settings(**keys: Any) -> Train:
    return Train.model_validate(keys)


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


@pytest.mark.parametrize("average", [{"type": "ema", "decay": 0.9}, {"type": "asgd", "patience": 1}])
def test_the_model_is_the_average(make_config: Any, average: dict[str, Any]) -> None:
    """The weights after every update, averaged by hand, are those of the model; training goes on from its own."""
    # So fast that the validation text soon gets worse, which asgd waits for.
    keys = dict(optimizer="sgd", learning_rate=8.0, clip_norm=None, patience=None)
    keys |= dict(epochs=5, checkpoint={"every_updates": 1}, precision="float64")
    config, plain = make_config(average=average, **keys), make_config(**keys)
    weights = []
    for record in train(plain):
        if isinstance(record, Checkpoint):
            weights.append(model_file.load(record.path).parameters)
    list(train(config))
    state = model_file.load(Path(config.run) / "state.safetensors")
    assert all((state.parameters[name] == value).all() for name, value in weights[-1].items())
    count = state.position["averaged"]
    if average["type"] == "asgd":
        assert 0 < count < len(weights)
        wanted = {name: np.mean([own[name] for own in weights[-count:]], axis=0) for name in weights[0]}
    else:
        assert count == len(weights)
        wanted = {name: value.copy() for name, value in start_weights(config).items()}
        for k, own in enumerate(weights, 1):
            d = min(0.9, (1 + k) / (10 + k))
            wanted = {name: d * wanted[name] + (1 - d) * own[name] for name in wanted}
    for name, value in wanted.items():
        np.testing.assert_allclose(state.extra[f"average.{name}"], value, rtol=1e-12, atol=1e-12)
    best = model_file.load(config.run)
    if best.training["epoch"] == 5:
        for name, value in wanted.items():
            np.testing.assert_allclose(best.parameters[name], value, rtol=0, atol=1e-12)
