"""Tasks: generators that yield records and return their result.

A function that takes a while is a generator: it yields `Note`, `Progress` and records of its own, which the console
draws and ``log.jsonl`` keeps, and returns its result (``result = yield from task()``).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

_T = TypeVar("_T")

Task = Generator[Any, None, _T]


@dataclass(frozen=True)
class Note:
    """A message of one line: what was done, found or skipped."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Progress:
    """Progress of a task, in its own unit (``bytes``, ``tokens``, ``epochs`` ...)."""

    task: str
    done: float
    total: float | None
    unit: str


def run_to_end(task: Task[_T], progress: Callable[[Any], object] | None = None) -> _T:
    """Run a task; its result. progress: called with each of its records."""
    while True:
        try:
            record = next(task)
            if progress is not None:
                progress(record)
        except StopIteration as end:
            result: _T = end.value
            return result
