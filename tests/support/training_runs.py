"""Small runs of training: their configurations, what they yield and what they leave."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.files import model_file
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
