"""A process that compiles the kernels computes the same bytes as one that reads them from the cache: a run that is
stopped and goes on after an update of rnnlm, or on its second day, is the run that it would have been."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from every_cell import CELLS

PROGRAM = """
import hashlib, json, sys
import numpy as np
from rnnlm.config.schema import Config
from rnnlm.network import build
from rnnlm.network.network import Window
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.update import TrainingWindow, update

settings, vocabulary, precision = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
train = {"precision": precision, "threads": 2, "optimizer": "adam"}
embedding = {"size": 70 if settings.get("tie_weights") else 40}
config = Config.model_validate(
    {"data": {"train": "none"}, "embedding": embedding, "model": {"hidden": 70, **settings}, "train": train}
)
generator = np.random.default_rng(0)
table = generator.normal(0, 0.3, (vocabulary, embedding["size"]))
network = build.build(config, build.init(config, vocabulary, table))
optimizer = Optimizer(config.train, network.named)
states = network.initial_states(8)

def carry(trace, loss):
    global states
    states = network.states_after(trace, 20)

for step in range(3):
    inputs, targets = (generator.integers(0, vocabulary, (20, 8)).astype(np.int32) for _ in range(2))
    window = Window(inputs, generator.random(inputs.shape) < 0.1, states)
    made = update(network, optimizer, [TrainingWindow(window, targets, 20, (1, step))], 1, 0.01, passed=carry)
    digest = hashlib.sha256()
    for value in network.named.values():
        digest.update(value.tobytes())
    print(made.loss, made.norm, digest.hexdigest())
"""


def updates(cache: Path, settings: str, vocabulary: int, precision: str) -> str:
    keep = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, settings, str(vocabulary), precision],
        env={**keep, "XDG_CACHE_HOME": str(cache)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


MODELS = [*CELLS.values(), {"output": "mixture", "tie_weights": True}, {"tie_weights": True}]


@pytest.mark.parametrize(
    ("settings", "vocabulary", "precision"),
    [
        ('{"cell": "lstm", "dropout": 0.2}', 66, "float32"),
        *(
            pytest.param(
                json.dumps({"layers": 2, "dropout": 0.2, "layer_norm": True} | model),
                vocabulary,
                precision,
                marks=pytest.mark.slow,
            )
            for number, model in enumerate(MODELS)
            for vocabulary, precision in [[(66, "float32"), (600, "bfloat16"), (66, "float64")][number % 3]]
        ),
    ],
)
def test_compiling_and_reading_the_cache_give_the_same_bytes(
    settings: str, vocabulary: int, precision: str, tmp_path: Path
) -> None:
    first = updates(tmp_path, settings, vocabulary, precision)
    assert first.count("\n") == 3
    assert updates(tmp_path, settings, vocabulary, precision) == first
