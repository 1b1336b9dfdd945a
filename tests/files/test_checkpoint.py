"""Checkpoints: a stopped or killed run goes on to the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from every_cell import every_cell
from training_runs import sha256, write_text

from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.files import model_file
from rnnlm.training.loop import train
from rnnlm.training.optimizers.optimizer import RULES


def check_resume(make_config: Any, model: dict[str, Any], keys: dict[str, Any], stops: tuple[int, ...]) -> Config:
    """A run that is stopped after so many updates each time ends with the bytes of one that is not."""
    whole, parts = make_config(model, **keys), make_config(model, **keys)
    list(train(whole))
    for updates in stops:
        remaining = iter(range(updates))
        found = list(train(parts, resume=True, stop=lambda r=remaining, n=updates - 1: next(r, None) == n))
        assert found[-1].reason == "interrupted"
    found = list(train(parts, resume=True))
    assert found[-1].reason == "epochs"
    for name in ("model.safetensors", "vocab.txt"):
        assert sha256(whole, name) == sha256(parts, name)
    first, second = (model_file.load(Path(config.run) / "state.safetensors") for config in (whole, parts))
    assert set(first.extra) == set(second.extra)
    for name, value in (first.parameters | first.extra).items():
        assert value.tobytes() == (second.parameters | second.extra)[name].tobytes(), name
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
    assert (state.extra["average.cell.0.H"] != state.parameters["cell.0.H"]).any()


@pytest.mark.slow
def test_kill_9_at_ten_random_moments(make_config: Any, tmp_path: Path) -> None:
    """Killed without warning, resumed each time: the bytes of the run that never stopped."""
    keys = dict(
        epochs=6, checkpoint={"every_updates": 7}, optimizer="adam", learning_rate=0.01, state="reset", patience=None
    )
    write_text(tmp_path / "train.txt", 4000, 1)
    whole, killed = make_config({"dropout": 0.1}, **keys), make_config({"dropout": 0.1}, **keys)
    for config in (whole, killed):
        Path(f"{config.run}.yaml").write_text(config_file.dump(config))
    command = [sys.executable, "-m", "rnnlm", "train", "--resume", "--quiet"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    for _ in range(2):  # the first may compile, and says nothing about how long the others take
        shutil.rmtree(whole.run, ignore_errors=True)
        began = time.monotonic()
        subprocess.run([*command, f"{whole.run}.yaml"], check=True, env=environment, capture_output=True)
        duration = time.monotonic() - began
    generator = random.Random(5)
    kills = 0
    while kills < 10:
        process = subprocess.Popen(
            [*command, f"{killed.run}.yaml"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(generator.uniform(0.2, 0.9) * duration)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            # It came to its end first: that must be the right one, and the next run begins anew.
            assert process.returncode == 0
            assert sha256(whole) == sha256(killed)
            shutil.rmtree(killed.run)
    subprocess.run([*command, f"{killed.run}.yaml"], check=True, env=environment, capture_output=True)
    assert sha256(whole) == sha256(killed)
