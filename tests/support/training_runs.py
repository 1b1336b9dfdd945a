"""Small runs of training: their configurations, what they yield and what they leave."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.files import model_file, tensors
from rnnlm.language_model import LanguageModel
from rnnlm.training.loop import train

WORDS = ["the", "a", "dog", "cat", "bird", "sees", "hears", "and", "sleeps", "runs"]


def write_text(path: Path, lines: int, seed: int) -> Path:
    generator = random.Random(seed)
    path.write_text(
        "".join(" ".join(generator.choices(WORDS, k=generator.randint(1, 9))) + "\n" for _ in range(lines))
    )
    return path


@pytest.fixture
def make_config(tmp_path: Path) -> Any:
    """A configuration of a small run, each with a folder of its own."""
    write_text(tmp_path / "train.txt", 60, 1)
    write_text(tmp_path / "valid.txt", 20, 2)
    count = iter(range(100))

    def build(model: dict[str, Any] | None = None, **train_keys: Any) -> Config:
        return config_file.validate(
            {
                "data": {"train": str(tmp_path / "train.txt"), "valid": str(tmp_path / "valid.txt")},
                "embedding": {"size": 6},
                "model": {
                    "hidden": 8,
                    "cell": {"type": "elman", "activation": "tanh"},
                    **(model or {}),
                },
                "train": {
                    "bptt": 5, "batch": 4, "epochs": 2, "log": {"every_updates": 3}, "threads": 2, **train_keys,
                },
                "run": str(tmp_path / f"run{next(count)}"),
            }
        )  # fmt: skip

    return build


def records(config: Config, kind: type, resume: bool = False) -> list[Any]:
    return [record for record in train(config, resume) if isinstance(record, kind)]


def sha256(config: Config, name: str = "model.safetensors") -> str:
    return hashlib.sha256((Path(config.run) / name).read_bytes()).hexdigest()


def start_weights(config: Config) -> dict[str, np.ndarray]:
    """The weights before the first update: those after one with almost no learning rate."""
    changed = config.train.model_copy(update={"learning_rate": 1e-300, "max_updates": 1})
    other = config.model_copy(update={"train": changed, "run": f"{config.run}-start"})
    list(train(other))
    return model_file.load(other.run).parameters


def stopped_run(config: Config, stops: tuple[int, ...]) -> Config:
    """Train a run that is stopped after so many updates each time, and then goes on to its end; returns `config`."""
    for updates in stops:
        remaining = iter(range(updates))
        found = list(train(config, resume=True, stop=lambda r=remaining, n=updates - 1: next(r, None) == n))
        assert found[-1].reason == "interrupted"
    assert list(train(config, resume=True))[-1].reason != "interrupted"
    return config


# What the clock says, which no two runs have in common.
CLOCK = ("seconds", "tokens_per_second", "started", "computing_seconds", "waiting_seconds")


def without_clock(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in CLOCK}


def log_of(config: Config) -> list[dict[str, Any]]:
    """The records of ``log.jsonl`` but for the clock's figures, and for where the run lies."""
    lines = (Path(config.run) / "log.jsonl").read_text().splitlines()
    return [{**without_clock(json.loads(line)), "run": "", "path": ""} for line in lines]


def assert_same_run(one: Config, other: Config) -> None:
    """Two runs left the same: models, state, vocabulary, log and what is sampled, all but the clock's figures."""
    names = [sorted(path.name for path in Path(config.run).glob("[!.]*.*")) for config in (one, other)]
    assert names[0] == names[1]
    for name in names[0]:
        if name.startswith("model") or name == "vocab.txt":
            assert sha256(one, name) == sha256(other, name), name
    first, second = (tensors.read_tensors(Path(config.run) / "state.safetensors") for config in (one, other))
    for _, metadata in (first, second):
        metadata["position"] = without_clock(metadata["position"])
    assert first[1] == second[1]
    assert list(first[0]) == list(second[0])
    for name, value in first[0].items():
        assert value.tobytes() == second[0][name].tobytes(), name
    assert log_of(one) == log_of(other)
    texts = [LanguageModel(model_file.load(config.run)).samples(3, tokens=30) for config in (one, other)]
    assert texts[0] == texts[1]
