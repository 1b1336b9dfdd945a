"""The log as an event file of TensorBoard, written by the package tensorboardX."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnlm.files.run_folder import EVENTS, event_files

# The tag of each figure that is drawn, by the event of its record.
_SCALARS = {
    "updates": {
        "loss": "train/loss",
        "perplexity": "train/perplexity",
        "learning_rate": "train/learning_rate",
        "gradient_norm": "train/gradient_norm",
        "tokens_per_second": "train/tokens_per_second",
    },
    "valid": {"loss": "valid/loss", "perplexity": "valid/perplexity"},
}


class TensorBoard:
    """An event file in the run's folder. A step of TensorBoard is an update.

    A file begins with the event START. TensorBoard passes over a run's first one; every other makes it drop what has
    the same step or a later one. So a run that goes on has another file: what is dropped is written again as
    ``log.jsonl`` has it, which is the whole log where there was no file before.

    The events are written here and now, not by tensorboardX's own thread: what that cannot write it says to nobody,
    and waits for ever.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{EVENTS}.out.tfevents.*"
        self._folder = folder
        self._writer: Any = None

    def open(self, updates: int, earlier: list[dict[str, Any]]) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        known = bool(event_files(self._folder))
        # The time in the name has whole seconds: of two files in one second the later one has more updates.
        place = os.path.abspath(self._folder / EVENTS)
        self._writer = EventsWriter(place, filename_suffix=f".{updates:09d}")
        self.path = event_files(self._folder)[-1]
        first = updates if known else 0
        self._write(first, session_log=SessionLog(status=SessionLog.START))
        for record in earlier:
            if record["updates"] >= first:
                self.add(record)
        self._writer.flush()

    def add(self, record: Mapping[str, Any]) -> None:
        from tensorboardX import summary

        updates = record["updates"]
        for name, tag in _SCALARS.get(record["event"], {}).items():
            if record.get(name) is not None:
                self._write(updates, summary=summary.scalar(tag, record[name]))
        if record["event"] == "sample":
            self._write(updates, summary=summary.text("sample", _verbatim(record["text"])))
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _write(self, step: int, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._writer.write_event(Event(wall_time=time.time(), step=step, **content))


def _verbatim(text: str) -> str:
    """A text as a block of code: TensorBoard reads Markdown. Halves of a character pair become escapes."""
    lines = text.encode("utf-8", "backslashreplace").decode("utf-8").split("\n")
    return "\n".join(f"    {line}" for line in lines)
