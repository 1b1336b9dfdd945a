"""The log of a run: ``log.jsonl``, a record a line."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rnnlm.files import atomic

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T", bound="DataclassInstance")

LOG = "log.jsonl"


class Log:
    """``log.jsonl``, open for writing.

    Args:
        updates: made so far; what a killed run logged after its last checkpoint is dropped, since it will come again.
        records: how many there were at that checkpoint, where it says so; what came after them, such as the end of a
            run that was stopped, is dropped too.

    Attributes:
        records: how many there are.
    """

    def __init__(self, folder: Path, updates: int, records: int | None = None) -> None:
        path = folder / LOG
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() and updates else []
        kept = [line for line in lines if _updates_of(line) <= updates][:records]
        atomic.write_text(path, "".join(f"{line}\n" for line in kept))
        self.records = len(kept)
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()

    def add(self, record: _T) -> _T:
        """Write a record, a dataclass; returns it."""
        self._file.write(json.dumps(_finite(asdict(record))) + "\n")
        self._file.flush()
        self.records += 1
        return record

    def close(self) -> None:
        self._file.close()


def _updates_of(line: str) -> float:
    """After how many updates a line was written; infinity for one that was cut off."""
    try:
        return float(json.loads(line)["updates"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: a perplexity too large for a float is null."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
