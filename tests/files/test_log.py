"""The log of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from run_folders import BROKEN_LOGS

from rnnlm import pipeline
from rnnlm.files import log
from rnnlm.training import loss_curve
from rnnlm.training.loop import train
from rnnlm.work import Note


def test_a_run_that_goes_on_has_one_log(make_config: Any) -> None:
    config = make_config(checkpoint={"every_updates": None})
    remaining = iter(range(100))
    list(train(config, stop=lambda: next(remaining) == 6))
    log = Path(config.run) / "log.jsonl"
    with log.open("a") as file:
        file.write('{"event": "updates", "updates": 9}\n{"event": "up')  # written after the checkpoint, then killed
    list(train(config, resume=True))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    updates = [line["updates"] for line in lines if line["event"] == "updates"]
    assert updates == sorted(set(updates))


@pytest.mark.parametrize("content", BROKEN_LOGS, ids=lambda content: ascii(content[:20]))
def test_a_broken_log_never_fails_a_run(make_config: Any, content: bytes) -> None:
    config = make_config(epochs=1)
    list(train(config))
    path = Path(config.run) / "log.jsonl"
    path.write_bytes(content + path.read_bytes())
    longer = config.model_copy(update={"train": config.train.model_copy(update={"epochs": 2})})
    records = list(train(longer, resume=True))
    assert records[-1].reason == "epochs"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["epoch"] for line in lines if line["event"] == "valid"] == [1, 2]
    loss_curve.draw(Path(config.run))


@pytest.mark.parametrize("damage", ["deleted", "a folder", "a pipe", "a full disk"])
def test_a_log_that_cannot_be_written_never_fails_a_run(make_config: Any, damage: str) -> None:
    config = make_config(epochs=1)
    path = Path(config.run) / "log.jsonl"
    path.parent.mkdir(parents=True)
    if damage == "a folder":
        path.mkdir()
    elif damage == "a pipe":
        os.mkfifo(path)
    elif damage == "a full disk":
        path.symlink_to("/dev/full")
    records = []
    for record in train(config):
        records.append(record)
        if damage == "deleted" and path.exists():
            path.unlink()
    assert records[-1].reason == "epochs"
    notes = [record.text for record in records if isinstance(record, Note)]
    assert damage == "deleted" or any("log.jsonl: not written any more: " in note for note in notes)
    loss_curve.draw(Path(config.run))


def test_a_picture_never_fails_a_run(make_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = pytest.importorskip("matplotlib.figure")

    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("no font")

    monkeypatch.setattr(figure.Figure, "savefig", fail)
    config = make_config(epochs=1)
    assert list(pipeline.run(config))
    assert not list(Path(config.run).glob("*.png"))


@pytest.mark.parametrize("end", ["", "\n", '\n{"event": "up', "\n\xe9"])
def test_a_record_after_the_end_has_a_line_of_its_own(make_config: Any, end: str) -> None:
    config = make_config(epochs=1)
    last = list(train(config))[-1]
    path = Path(config.run) / "log.jsonl"
    before = path.read_text().rstrip("\n")
    path.write_text(before + end, encoding="utf-8")
    log.append(path.parent, last)
    whole = before + end
    added = json.dumps(json.loads(before.splitlines()[-1]))
    assert path.read_text(encoding="utf-8") == whole + "\n" * (not whole.endswith("\n")) + added + "\n"


def test_a_record_of_an_empty_log(make_config: Any) -> None:
    config = make_config(epochs=1)
    last = list(train(config))[-1]
    path = Path(config.run) / "log.jsonl"
    path.write_text("")
    log.append(path.parent, last)
    assert path.read_text().count("\n") == 1
