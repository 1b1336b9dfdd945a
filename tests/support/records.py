"""Running a task and keeping what it yields. `rnnlm.work.run_to_end` is for tests that want the result alone."""

from __future__ import annotations

from typing import Any, TypeVar

from rnnlm.work import Task

_T = TypeVar("_T")


def run(task: Task[_T]) -> tuple[_T, list[Any]]:
    """The result of a task, and its records."""
    records = []
    while True:
        try:
            records.append(next(task))
        except StopIteration as end:
            return end.value, records
