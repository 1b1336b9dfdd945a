"""A run that goes on with other ranks or threads than before: one line and one record say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from training_runs import log_of

from rnnlm.config.schema import Config
from rnnlm.training.loop import train
from rnnlm.training.processes import described
from rnnlm.training.records import Resumed
from rnnlm.work import Note


def resumed(config: Config, before: dict[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
    """Stop a run, say that it had other processes, and go on; the notes of these, and the records."""
    ends = iter([False, True])
    list(train(config, stop=lambda: next(ends, True)))
    path = Path(config.run) / "log.jsonl"
    first, *rest = path.read_text().splitlines()
    changed = {key: value for key, value in (json.loads(first) | before).items() if value is not None}
    path.write_text("\n".join([json.dumps(changed), *rest]) + "\n")
    notes = [record.text for record in train(config, resume=True) if isinstance(record, Note)]
    return [note for note in notes if "instead of" in note], [r for r in log_of(config) if r["event"] == "resumed"]


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ({"threads": 7}, "1 thread instead of 7 threads: the 5 streams go on from the same position; sums"),
        (
            {"ranks": 4},
            "1 thread instead of 4 ranks of 1 thread: the 5 streams go on from the same position, shared out",
        ),
    ],
)
def test_it_is_said_and_logged(make_config: Any, before: dict[str, int], message: str) -> None:
    config = make_config(batch=5, threads=1, max_updates=6, log={"every_updates": 1})
    (note,), (record,) = resumed(config, before)
    assert note.startswith(f"{config.run}: {message}")
    assert (record["ranks"], record["threads"], record["updates"]) == (1, 1, 2)
    was = {"ranks": 1, "threads": 1} | before
    assert (record["ranks_before"], record["threads_before"]) == (was["ranks"], was["threads"])


@pytest.mark.parametrize("before", [{}, {"ranks": None}], ids=["the same", "a log of an older version"])
def test_else_nothing_is(make_config: Any, before: dict[str, Any]) -> None:
    assert resumed(make_config(batch=5, threads=1, max_updates=6), before) == ([], [])


def test_it_is_compared_with_what_was_said_last(make_config: Any) -> None:
    """A record of a resumed run that was killed before its checkpoint is dropped, as all of that time."""
    config = make_config(batch=5, threads=1, max_updates=9)
    assert len(resumed(config, {"threads": 7})[1]) == 1
    longer = config.model_copy(update={"train": config.train.model_copy(update={"max_updates": 12})})
    assert [r for r in train(longer, resume=True) if isinstance(r, Note) and "instead of" in r.text] == []
    assert len([r for r in log_of(config) if r["event"] == "resumed"]) == 1


def test_ranks_of_threads() -> None:
    found = Resumed(9, 1, 90, 1.0, ranks=3, threads=2, ranks_before=2, threads_before=1)
    assert described(found, 1000) == (
        "3 ranks of 2 threads instead of 2 ranks of 1 thread: the 1,000 streams go on from the same position, shared "
        "out anew; sums are rounded in another order"
    )
