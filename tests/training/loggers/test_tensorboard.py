"""The log as event files of TensorBoard, read here from their bytes."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_runs import stopped_run

from rnnlm.config.schema import Config
from rnnlm.files import run_folder
from rnnlm.training.loggers.tensorboard import TensorBoard
from rnnlm.training.loop import train

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")

KEYS = dict(log={"every_updates": 3, "to": ["tensorboard"]}, sample={"every_updates": 10}, patience=None)
TAGS = {
    "train/loss": ("updates", "loss"),
    "train/perplexity": ("updates", "perplexity"),
    "train/learning_rate": ("updates", "learning_rate"),
    "train/gradient_norm": ("updates", "gradient_norm"),
    "train/tokens_per_second": ("updates", "tokens_per_second"),
    "valid/loss": ("valid", "loss"),
    "valid/perplexity": ("valid", "perplexity"),
}


def events(path: Path) -> list[Any]:
    """The events of a file: each has its length (8 bytes) and a checksum (4) before it and a checksum (4) after."""
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        found.append(event_pb2.Event.FromString(data[at + 12 : at + 12 + size]))
        at += 16 + size
    assert at == len(data)
    return found


def shown(folder: Path) -> dict[str, dict[int, Any]]:
    """What TensorBoard shows, by tag and step: every START but the first drops what it has from its step on."""
    tags: dict[str, dict[int, Any]] = {}
    starts = 0
    for path in run_folder.event_files(folder):
        for event in events(path):
            if event.HasField("session_log") and event.session_log.status == event_pb2.SessionLog.START:
                starts += 1
                if starts > 1:
                    tags = {tag: {s: v for s, v in by.items() if s < event.step} for tag, by in tags.items()}
            for value in event.summary.value:
                text = value.tensor.string_val
                by_step = tags.setdefault(value.tag, {})
                assert event.step not in by_step, "TensorBoard would show both"
                by_step[event.step] = text[0].decode() if text else value.simple_value
    return tags


def logged(config: Config, event: str) -> list[dict[str, Any]]:
    lines = (Path(config.run) / "log.jsonl").read_text().splitlines()
    return [record for line in lines if (record := json.loads(line))["event"] == event]


def assert_shows_the_log(config: Config) -> None:
    found = shown(Path(config.run))
    assert set(found) == {*TAGS, "sample/text_summary"}
    for tag, (event, name) in TAGS.items():
        records = logged(config, event)
        assert len(records) >= 2
        assert [*found[tag]] == [record["updates"] for record in records]
        np.testing.assert_array_equal([*found[tag].values()], np.float32([record[name] for record in records]))
    samples = {record["updates"]: record["text"] for record in logged(config, "sample")}
    assert len(samples) >= 2
    assert found["sample/text_summary"] == {k: f"    {v}".replace("\n", "\n    ") for k, v in samples.items()}


def test_every_figure_of_the_log_is_a_scalar(make_config: Any) -> None:
    config = make_config(**KEYS)
    list(train(config))
    assert_shows_the_log(config)
    (path,) = run_folder.event_files(Path(config.run))
    assert events(path)[0].file_version == "brain.Event:2"


def test_a_run_that_goes_on_drops_what_comes_again(make_config: Any) -> None:
    config = make_config(**KEYS)
    list(train(config, stop=iter([False] * 6 + [True]).__next__))
    (first,) = run_folder.event_files(Path(config.run))
    lost = TensorBoard(Path(config.run))  # what it logged after its last checkpoint, then killed
    lost.open(7, [])
    lost.add({"event": "updates", "updates": 9, "loss": 99.0})
    lost.add({"event": "sample", "updates": 11, "text": "lost"})
    lost.close()
    lost.path.rename(f"{first}.lost")  # of the same second as the next one
    stopped_run(config, (5,))
    assert len(run_folder.event_files(Path(config.run))) == 4
    assert_shows_the_log(config)


def test_a_run_that_had_none_gets_its_whole_log(make_config: Any) -> None:
    later = make_config(**KEYS | {"log": {"every_updates": 3}})
    list(train(later, stop=iter([False] * 11 + [True]).__next__))
    assert not run_folder.event_files(Path(later.run))
    now = later.model_copy(update={"train": make_config(**KEYS).train})
    list(train(now, resume=True))
    assert_shows_the_log(now)


@pytest.mark.parametrize("text", ["# no *heading*\n\n<b>", "", "\ud83d half a pair", "a\x1b[31m\0b"])
def test_a_sample_is_shown_as_it_is(tmp_path: Path, text: str) -> None:
    logger = TensorBoard(tmp_path)
    logger.open(0, [])
    logger.add({"event": "sample", "updates": 1, "text": text})
    logger.add({"event": "valid", "updates": 1, "loss": 800.0, "perplexity": None})
    logger.close()
    found = shown(tmp_path)
    kept = text.replace("\ud83d", "\\ud83d")
    assert found["sample/text_summary"] == {1: "\n".join("    " + line for line in kept.split("\n"))}
    assert found["valid/loss"] == {1: 800.0}
    assert "valid/perplexity" not in found, "an infinite one"
