"""What a run keeps for the model: the initial state of its last validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from training_runs import sha256

from rnnlm.corpora import prepare
from rnnlm.files import model_file
from rnnlm.network import build
from rnnlm.network.initial_state import LineEndStates
from rnnlm.network.parameters import unflatten
from rnnlm.network.scoring import score
from rnnlm.training.loop import train
from rnnlm.work import run_to_end


def initial(path: Path) -> dict[str, np.ndarray]:
    return {name: value for name, value in load_file(path).items() if name.startswith("initial.")}


@pytest.mark.parametrize("average", [None, {"type": "ema", "decay": 0.9}])
def test_the_model_begins_with_the_mean_of_its_validation(make_config: Any, average: Any, tmp_path: Path) -> None:
    """That of the weights in the file, the averaged ones where there is an average. The validation itself begins with
    the mean of the training streams' states, here those of the last epoch's end."""
    config = make_config({"cell": "lstm", "hidden": [8, 6]}, average=average, precision="float64")
    run_to_end(train(config))
    trained = model_file.load(config.run)
    assert trained.initial is not None
    assert [state.shape for state in trained.initial] == [(16,), (12,)]
    network = build.build(config, unflatten(trained.parameters))
    paths = run_to_end(prepare.texts(config))
    valid = run_to_end(prepare.encode(config, paths, trained.vocabulary)).valid
    assert valid is not None
    line_ends = LineEndStates(network, trained.vocabulary.line_end)
    assert trained.training["best_epoch"] == config.train.epochs
    last = load_file(Path(config.run) / "state.safetensors")
    with network.beginning_with([last["carry.0"].mean(axis=0), last["carry.1"].mean(axis=0)]):
        for _ in score(network, valid, "carry", line_ends=line_ends):
            pass
    wanted = line_ends.mean()
    assert wanted is not None
    for found, want in zip(trained.initial, wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("keys", "valid"), [({"state": "reset"}, True), ({}, False)])
def test_it_is_zero_under_reset_and_without_a_validation_text(make_config: Any, keys: Any, valid: bool) -> None:
    config = make_config(**keys)
    if not valid:
        config = config.model_copy(update={"data": config.data.model_copy(update={"valid": None})})
    run_to_end(train(config))
    for name in ("model.safetensors", "state.safetensors"):
        assert initial(Path(config.run) / name) == {}
    assert model_file.load(config.run).initial is None


def test_training_begins_with_zero_whatever_the_model_begins_with(make_config: Any) -> None:
    """Weights after two epochs, of a run with and one without a validation between them."""
    config = make_config()
    without = make_config()
    without = without.model_copy(update={"data": without.data.model_copy(update={"valid": None})})
    for one in (config, without):
        run_to_end(train(one))
    found, wanted = (model_file.load(Path(one.run) / "state.safetensors").parameters for one in (config, without))
    assert all((found[name] == wanted[name]).all() for name in wanted)


@pytest.mark.parametrize("stop_after", [3, 20, 40])
def test_a_resumed_run_ends_with_the_same_initial_state(make_config: Any, stop_after: int) -> None:
    """In the model and in the checkpoint, wherever it was stopped."""
    config, stopped = make_config(epochs=3), make_config(epochs=3)
    run_to_end(train(config))
    count = iter(range(1, 1000))
    run_to_end(train(stopped, stop=lambda: next(count) == stop_after))
    run_to_end(train(stopped, resume=True))
    assert sha256(stopped) == sha256(config)
    found, wanted = (initial(Path(one.run) / "state.safetensors") for one in (stopped, config))
    assert wanted.keys() == found.keys() == {"initial.0"}
    assert (found["initial.0"] == wanted["initial.0"]).all()
