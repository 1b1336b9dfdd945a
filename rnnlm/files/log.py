"""The log of a run: ``log.jsonl``, a record a line."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rnnlm.errors import InputError
from rnnlm.files import atomic

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T", bound="DataclassInstance")

LOG = "log.jsonl"


class Log:
    """``log.jsonl``, open for writing.

    Args:
        updates: made so far; what a killed run logged after its last checkpoint is dropped, since it will come again.
    """

    def __init__(self, folder: Path, updates: int) -> None:
        path = folder / LOG
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() and updates else []
        atomic.write_text(path, "".join(f"{line}\n" for line in lines if _updates_of(line) <= updates))
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()

    def add(self, record: _T) -> _T:
        """Write a record, a dataclass; returns it."""
        self._file.write(json.dumps(_finite(asdict(record))) + "\n")
        self._file.flush()
        return record

    def close(self) -> None:
        self._file.close()


def read(folder: Path) -> list[dict[str, Any]]:
    """The records of a run's log.

    Raises:
        InputError: there is none.
    """
    try:
        text = (folder / LOG).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{folder / LOG}: no such file; the log of a training lies in its run's folder") from None
    # A last line without its end is still being written.
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _updates_of(line: str) -> float:
    """After how many updates a line was written; infinity for one that was cut off."""
    try:
        return float(json.loads(line)["updates"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: a perplexity too large for a float is null."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
