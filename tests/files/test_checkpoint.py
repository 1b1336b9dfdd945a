"""Checkpoints: a stopped or killed run goes on to the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from every_cell import every_cell
from training_runs import assert_same_run, stopped_run

from rnnlm.config.schema import Config
from rnnlm.files import model_file
from rnnlm.training.loop import train
from rnnlm.training.optimizers.optimizer import RULES


def check_resume(make_config: Any, model: dict[str, Any], keys: dict[str, Any], stops: tuple[int, ...]) -> Config:
    """A run that is stopped after so many updates each time ends with the bytes of one that is not."""
    whole: Config = make_config(model, **keys)
    list(train(whole))
    assert_same_run(whole, stopped_run(make_config(model, **keys), stops))
    return whole


@pytest.mark.parametrize("optimizer", RULES)
@pytest.mark.parametrize("state", ["carry", "reset"])
def test_a_stopped_run_goes_on_to_the_same_bytes(make_config: Any, optimizer: str, state: str) -> None:
    """Stopped after 5 updates, in the middle of a pass, and again 9 later, in the next one."""
    keys = dict(
        optimizer={"type": optimizer, "weight_decay": 1e-3}, state=state, bptt=6, bptt_stride=4, learning_rate=0.05,
        schedule={"type": "cosine", "warmup_updates": 3},
    )  # fmt: skip
    check_resume(make_config, {"layers": 2, "dropout": 0.2}, keys, (5, 9))


# Everything that an update can have beside the optimizer.
ALL_OPTIONS = dict(
    optimizer={"type": "adamw", "weight_decay": 0.01}, learning_rate=0.01, bptt=6,
    schedule={"type": "cosine", "cycles": 2, "warmup_updates": 2},
    bptt_deviation=2, accumulate=2, gradient_noise=0.01,
    penalties={"activation": 0.1, "temporal": 0.1, "label_smoothing": 0.1}, clip_value=0.5, epochs=4, patience=None,
)  # fmt: skip


@every_cell
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resume_with_every_option_on(make_config: Any, model: dict[str, Any], precision: str) -> None:
    dropped = {
        "hidden": [8, 6], "tie_weights": True, "layer_norm": True,
        "dropout": {
            "input": 0.1, "between": 0.2, "output": 0.3, "variational": True, "words": 0.1,
            "recurrent": 0.2 if model["cell"]["type"] != "mingru" else 0,
        },
    }  # fmt: skip
    check_resume(make_config, dropped | model, {**ALL_OPTIONS, "precision": precision, "average": "ema"}, (3, 6))


def test_resume_of_an_average_that_has_begun(make_config: Any) -> None:
    """A learning rate so high that validation is soon worse: stopped before and after the trigger."""
    keys = dict(optimizer="sgd", learning_rate=5.0, clip_norm=None, epochs=6, patience=None)
    keys |= dict(average={"type": "asgd", "patience": 1})
    config = check_resume(make_config, {}, keys, (20, 40))
    state = model_file.load(Path(config.run) / "state.safetensors")
    averaged = state.position["averaged"]
    assert 0 < averaged < state.training["updates"] - 20
    # Saturated units have no gradient, so not every parameter need have moved since.
    averages = {name.removeprefix("average."): value for name, value in state.extra.items() if "average." in name}
    assert any((averages[name] != value).any() for name, value in state.parameters.items())
