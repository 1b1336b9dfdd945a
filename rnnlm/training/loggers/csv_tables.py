"""The log as two CSV files: a row for each record of updates, and one for each validation."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

from rnnlm.files import atomic
from rnnlm.files.run_folder import UPDATES, VALIDATIONS
from rnnlm.training.records import Updates, Valid

# The file and the fields of each event.
_TABLES: dict[str, tuple[str, type[Updates | Valid]]] = {
    "updates": (UPDATES, Updates),
    "valid": (VALIDATIONS, Valid),
}


class CsvTables:
    """``updates.csv`` and ``validations.csv``: the fields of `Updates` and of `Valid` as columns.

    Two tables, since one would be full of empty cells: every row has a number in every column, but for a perplexity
    too large for a float, which is empty. A file is written anew from ``log.jsonl`` when a run goes on.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / UPDATES
        self._folder = folder
        self._files: dict[str, TextIO] = {}
        self._closing = ExitStack()

    def open(self, updates: int, earlier: list[dict[str, Any]]) -> None:
        for event, (name, kind) in _TABLES.items():
            self.path = self._folder / name
            rows = [_row(record, kind) for record in earlier if record.get("event") == event]
            atomic.write_text(self.path, "".join([_line(_columns(kind)), *map(_line, rows)]))
            file = open(self.path, "a", encoding="utf-8", newline="")  # noqa: SIM115 - closed by close()
            self._files[event] = self._closing.enter_context(file)

    def add(self, record: Mapping[str, Any]) -> None:
        event = record["event"]
        if event in self._files:
            name, kind = _TABLES[event]
            self.path = self._folder / name
            self._files[event].write(_line(_row(record, kind)))
            self._files[event].flush()

    def close(self) -> None:
        self._closing.close()


def _columns(kind: type[Updates | Valid]) -> list[str]:
    return [field.name for field in fields(kind) if field.name != "event"]


def _row(record: Mapping[str, Any], kind: type[Updates | Valid]) -> list[Any]:
    """The cells of a record; a truth value as pandas, R and spreadsheets read it."""
    values = [record.get(name) for name in _columns(kind)]
    return [str(value).lower() if isinstance(value, bool) else value for value in values]


def _line(cells: list[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()
