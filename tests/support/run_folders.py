"""Folders of runs for tests of ``rnnlm runs``: a few trained ones, and copies of them that are changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small import settings, write_texts

from rnnlm import pipeline
from rnnlm.config import file as config_file
from rnnlm.files import model_file
from rnnlm.work import run_to_end

# Each run's name, and what it has that the first has not.
CHANGES: dict[str, dict[str, Any]] = {
    "plain": {},
    "lstm": {"model.cell": "lstm", "train.learning_rate": 0.01},
    "ema": {"train.average": {"type": "ema", "decay": 0.5}, "train.threads": 2, "train.log.every_updates": 7},
    "chars": {"data.unit": "char"},
}

# What may stand before the records of a log.
BROKEN_LOGS = [
    b"", b"\xff\xfe\x00", b"[1]\n", b"null\n", b"{}\n", b'{"updates": "many"}\n', b"[" * 100_000 + b"\n",
    b'{"updates": ' + b"9" * 6000 + b"}\n", b'{"updates": 1e400}\n', b'{"updates": ' + b"9" * 400 + b"}\n",
]  # fmt: skip


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs of `CHANGES`, by ``rnnlm train``, one text for all."""
    folder = tmp_path_factory.mktemp("trained")
    write_texts(folder)
    for name, changes in CHANGES.items():
        plain = settings(folder, run=f"runs/{name}", epochs=2).model_dump()
        run_to_end(pipeline.run(config_file.load(plain, changes)))
    return folder / "runs"


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """A copy of `trained`, to be changed."""
    return Path(shutil.copytree(trained, tmp_path / "runs"))


@pytest.fixture
def change_header() -> Callable[..., None]:
    """Writes a run's model anew with other values of its ``training``."""

    def change(folder: Path, **training: Any) -> None:
        found = model_file.load(folder / model_file.MODEL)
        model_file.save_model(
            found.path, found.config, found.vocabulary, found.parameters, found.training | training, found.initial
        )

    return change


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def write_records(folder: Path, found: list[dict[str, Any]]) -> None:
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in found))
