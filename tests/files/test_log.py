"""The log of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rnnlm.training.loop import train


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
