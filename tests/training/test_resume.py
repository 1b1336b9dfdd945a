"""Resume: a run that is stopped or killed ends with the bytes of one that never stops, whatever it trains with."""

from __future__ import annotations

import itertools
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
from layouts import needs_tiles
from training_runs import assert_same_run, stopped_run, write_text

from rnnlm.config import file as config_file
from rnnlm.config.base import sections
from rnnlm.config.network import Model
from rnnlm.training.loop import train
from rnnlm.training.optimizers.optimizer import RULES
from rnnlm.training.records import Updates

OUTPUTS = [*sections(Model, "output").types]
AVERAGES = [None, "ema", {"type": "asgd", "patience": 1}]
PRECISIONS = ["float32", "float64", "bfloat16", pytest.param("bfloat16x3", marks=needs_tiles)]
# A norm that every gradient is above.
CLIPPED: dict[str, Any] = dict(clip_norm=0.05, learning_rate=0.05, patience=None)


def check(make_config: Any, model: dict[str, Any], stops: tuple[int, ...] = (5, 9), **keys: Any) -> None:
    """A run to the end against one that is stopped after so many updates each time."""
    keys = CLIPPED | keys
    whole = make_config(model, **keys)
    norms = [record.gradient_norm for record in train(whole) if isinstance(record, Updates)]
    assert min(norms) > keys["clip_norm"], "the clipping does nothing"
    assert_same_run(whole, stopped_run(make_config(model, **keys), stops))


@pytest.mark.parametrize("noise", [0, 0.01])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("optimizer", RULES)
def test_a_stopped_run_ends_with_the_same_bytes(
    make_config: Any, optimizer: str, precision: str, noise: float
) -> None:
    check(make_config, {}, optimizer=optimizer, precision=precision, gradient_noise=noise)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    ("precision", "average"),
    [
        *itertools.product(["float32"], AVERAGES),
        ("float64", None),
        ("bfloat16", None),
        pytest.param("bfloat16x3", None, marks=needs_tiles),
    ],
)
@pytest.mark.parametrize("output", OUTPUTS)
def test_so_it_does_with_every_output_layer_and_average(
    make_config: Any, output: str, average: Any, precision: str, tied: bool
) -> None:
    model = {
        "output": output,
        "tie_weights": tied and output in ("softmax", "direct", "mixture", "sampled"),
        "layer_norm": tied,
    }
    check(make_config, model, precision=precision, average=average, gradient_noise=0.01, epochs=4, accumulate=2)


def test_so_it_does_with_validations_kept_models_and_ends_inside_an_epoch(make_config: Any) -> None:
    """A stop and `max_updates` inside an epoch both end with a validation, of which the run that goes on knows
    nothing."""
    keys = dict(
        validate={"every_updates": 7}, checkpoint={"every_updates": 4, "keep": 3}, max_updates=30, epochs=4,
        schedule="plateau",
    )  # fmt: skip
    check(make_config, {}, (9, 3, 10), **keys)


# What a killed run is trained with: precision, optimizer, output layer, average, state.
KILLED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, dict(precision="float64", optimizer="adam", gradient_noise=0.01)),
    ({"output": "mixture", "dropout": 0.1}, dict(precision="bfloat16", optimizer="lion", average="ema")),
    ({"cell": "lstm", "tie_weights": True}, dict(
        optimizer="momentum", state="reset", validate={"every_updates": 31}, average={"type": "asgd", "patience": 1}
    )),
    ({}, dict(sample={"every_updates": 5, "prompt": "the"}, log={"every_updates": 3, "to": ["csv"]})),
    ({"cell": "gru", "layers": 2}, dict(optimizer="nadam", schedule={"type": "cosine", "warmup_updates": 20})),
    ({"cell": "gru_before"}, dict(optimizer="rmsprop", bptt_stride=2, precision="float64")),
    ({"cell": "mingru", "layer_norm": True}, dict(optimizer="adagrad", accumulate=3)),
    ({"cell": {"type": "scrn", "context": 3}}, dict(optimizer="sgd", schedule="plateau")),
    ({"cell": {"type": "lstm", "peepholes": True}}, dict(optimizer="adamw", bptt_deviation=1.0, loss="last")),
    ({"dropout": {"recurrent": 0.2, "words": 0.1}}, dict(optimizer="adam", precision="bfloat16")),
    ({"output": {"type": "mixture", "softmaxes": 2}}, dict(
        optimizer="adam", penalties={"label_smoothing": 0.0, "activation": 0.1}, max_updates=170
    )),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("model", "keys"), KILLED)
def test_a_killed_run_ends_with_the_same_bytes(
    make_config: Any, tmp_path: Path, model: dict[str, Any], keys: dict[str, Any]
) -> None:
    """Killed six times without warning, at random moments, and resumed each time."""
    keys = CLIPPED | dict(epochs=3, checkpoint={"every_updates": 7, "keep": 2}, learning_rate=0.01) | keys
    write_text(tmp_path / "train.txt", 1000, 1)
    whole, killed = make_config(model, **keys), make_config(model, **keys)
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
    while kills < 6:
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
            assert_same_run(whole, killed)
            shutil.rmtree(killed.run)
    for _ in range(2):  # a run that is complete already leaves all as it is
        subprocess.run([*command, f"{killed.run}.yaml"], check=True, env=environment, capture_output=True)
        assert_same_run(whole, killed)
