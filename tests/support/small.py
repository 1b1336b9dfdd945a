"""Tiny texts and configurations, runs trained on them once for all tests, and a way to call the command line."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest

from rnnlm import api, cli
from rnnlm.config import file as config_file
from rnnlm.config.schema import Config

LINES = [
    "the dog sees the cat",
    "a bird sings",
    "the cats sleep",
    "every dog that sees a bird barks",
    "cats see dogs",
]


def write_texts(folder: Path) -> None:
    generator = random.Random(1)
    for name, count in (("train", 150), ("valid", 20), ("test", 20)):
        (folder / f"{name}.txt").write_text("".join(generator.choice(LINES) + "\n" for _ in range(count)))


def settings(folder: Path, unit: str = "word", run: str = "run", **train: Any) -> Config:
    return config_file.validate(
        {
            "data": {name: str(folder / f"{name}.txt") for name in ("train", "valid", "test")} | {"unit": unit},
            "embedding": {"size": 8},
            "model": {"cell": {"type": "elman", "activation": "tanh"}, "hidden": 16},
            "train": {
                "bptt": 8,
                "batch": 4,
                "epochs": 4,
                "optimizer": "adam",
                "learning_rate": 0.02,
                "log": {"every_updates": 5},
                "threads": 1,
                **train,
            },
            "run": str(folder / run),
        }
    )


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The run folders of a word, a character and a byte model of the same texts."""
    folder = tmp_path_factory.mktemp("small")
    write_texts(folder)
    found = {}
    for unit in ("word", "char", "byte"):
        config = settings(folder, unit, unit)
        api.train(config)
        found[unit] = Path(config.run)
    return found


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs a command in this process; gives its exit status, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rnnlm", *map(str, arguments)])
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capfd.readouterr()
        return status, out, err

    return run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The file of a small configuration."""
    write_texts(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(config_file.dump(settings(tmp_path, epochs=2)))
    return path
