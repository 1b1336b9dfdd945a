"""The log of a run: ``log.jsonl``, a record a line."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from rnnlm.errors import ModelError, ResourceError
from rnnlm.files import atomic, lock

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T", bound="DataclassInstance")

LOG = "log.jsonl"


class Log:
    """``log.jsonl``, open for writing. A log that cannot be read or written never fails a run.

    Args:
        updates: made so far; what a killed run logged after its last checkpoint is dropped, since it will come again.
        records: how many there were at that checkpoint, where it says so; what came after them, such as the end of a
            run that was stopped, is dropped too.

    Attributes:
        records: how many there are.
        problem: why nothing is written any more, in one line; None while all is well.
    """

    def __init__(self, folder: Path, updates: int, records: int | None = None) -> None:
        self._path = folder / LOG
        self.problem: str | None = None
        self._file: TextIO | None = None
        self.records = 0
        try:
            if self._path.exists() and not self._path.is_file():
                raise ResourceError("no regular file")
            kept = self._earlier(updates)[:records]
            atomic.write_text(self._path, "".join(f"{line}\n" for line in kept))
            self.records = len(kept)
            self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()
        except (ResourceError, OSError) as error:
            self._give_up(error)

    def add(self, record: _T) -> _T:
        """Write a record, a dataclass; returns it."""
        self.records += 1
        if self._file is not None:
            try:
                self._file.write(_line(record))
                self._file.flush()
            except OSError as error:
                self._give_up(error)
        return record

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # what could not be written is tried again here
                file.close()

    def _earlier(self, updates: int) -> list[str]:
        """The lines of an earlier run up to its checkpoint."""
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace") if updates else ""
        except OSError:
            return []
        return [line for line in text.split("\n") if _updates_of(line) <= updates]

    def _give_up(self, error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        self.problem = f"{self._path}: not written any more: {reason}; the training goes on without it"
        self.close()


def append(folder: Path, record: DataclassInstance) -> None:
    """Write a record after the end of a training, whose own log is closed. A run that goes on drops it, as it does
    the end.

    Raises:
        ResourceError: the log is not there or cannot be written; another training has the folder by now.
    """
    path = folder / LOG
    if not path.is_file():
        raise ResourceError(f"{path}: not written any more: no regular file")
    try:
        with lock.held(folder), open(path, "ab+") as file:
            # The last line may be one that was cut off.
            if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                file.write(b"\n")
            file.write(_line(record).encode())
    except ModelError:
        raise ResourceError(f"{path}: not written any more: another training has the folder") from None
    except OSError as error:
        raise ResourceError(f"{path}: not written any more: {error.strerror}") from None


def read(folder: Path) -> list[dict[str, Any]]:
    """The records of a log; lines that are none, and a log that is not there, are passed over."""
    try:
        # A pipe in its place would be waited for.
        text = (folder / LOG).read_text(encoding="utf-8", errors="replace") if (folder / LOG).is_file() else ""
    except OSError:
        return []
    return [record for line in text.split("\n") if (record := _record(line)) is not None]


def plain(record: DataclassInstance) -> dict[str, Any]:
    """A record as the log has it. JSON has no infinity: a perplexity too large for a float is null."""
    values = asdict(record)
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def _line(record: DataclassInstance) -> str:
    return json.dumps(plain(record)) + "\n"


def _record(line: str) -> dict[str, Any] | None:
    """The record of a line; None for one that was cut off or is something else."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(record, dict) and isinstance(record.get("updates"), int) and abs(record["updates"]) < 2**63
    return record if whole else None


def _updates_of(line: str) -> float:
    """After how many updates a line was written; infinity for one that was cut off."""
    record = _record(line)
    return math.inf if record is None else record["updates"]
