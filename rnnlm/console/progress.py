"""Progress displays: live bars in a terminal (`Bars`), plain lines elsewhere (`Lines`)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.progress import BarColumn, ProgressColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Column, Table
from rich.text import Text

from rnnlm.console.formats import amount, time_left
from rnnlm.console.views import training
from rnnlm.training.records import TASK, End, Start, TrainingSample, Updates, Valid
from rnnlm.work import Progress

_SECONDS = 10.0  # between two plain lines about one task


class Display:
    """What bars and lines have in common: how a training begins and ends.

    Args:
        console: standard error.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._start: Start | None = None
        self._first: Updates | None = None  # since the start
        self._losses: list[float] = []

    def start(self, record: Start) -> None:
        self._start, self._first = record, None
        self._losses.clear()
        self.console.print(training.start_line(record))

    def updates(self, record: Updates) -> None:
        self._first = self._first or record
        self._losses.append(record.loss)

    def sample(self, record: TrainingSample) -> None:
        for line in training.sample_lines(record):
            self.console.print(line)

    def end(self, record: End) -> None:
        for line in training.end_view(record, self._start, self._losses):
            self.console.print(line)


class Lines(Display):
    """A line about each task every ten seconds; the first one only after a while, so that short work says nothing."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._last: dict[str, float] = {}  # task -> when its last line was printed, or was not due yet

    def progress(self, record: Progress) -> None:
        if self._due(record.task):
            of = f" of {amount(record.total).rstrip()}" if record.total is not None else ""
            self.console.print(f"{record.task}: {amount(record.done).rstrip()}{of} {record.unit}")
        if _is_done(record):
            self._last.pop(record.task, None)

    def updates(self, record: Updates) -> None:
        super().updates(record)
        if self._due("train", at_once=True):
            self.console.print(training.updates_line(record, self._start, self._first))

    def valid(self, record: Valid) -> None:
        self.console.print(training.valid_line(record))

    def _due(self, task: str, at_once: bool = False) -> bool:
        now = time.monotonic()
        last = self._last.setdefault(task, now - _SECONDS if at_once else now)
        if now - last < _SECONDS:
            return False
        self._last[task] = now
        return True


class Bars(Display):
    """A bar for each task, and one for training with a table of validations above it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.bars = _Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=8),
            _Share(),
            _TimeLeft(),
            _Detail(),
            console=console,
            transient=True,
            refresh_per_second=8,
        )
        self._tasks: dict[str, TaskID] = {}
        self._headed = False
        self.bars.start()

    def stop(self) -> None:
        """Take the bars away, so that what is printed from now on stays where it is."""
        self.bars.stop()

    def progress(self, record: Progress) -> None:
        if record.task not in self._tasks:
            self._tasks[record.task] = self.bars.add_task(record.task, total=record.total, detail="")
        task = self._tasks[record.task]
        detail = f"{amount(record.done).rstrip()} {record.unit}"
        self.bars.update(task, completed=record.done, total=record.total, detail=detail, visible=True)
        if _is_done(record) and record.task != TASK:
            self.bars.update(task, visible=False)

    def start(self, record: Start) -> None:
        super().start(record)
        self._headed = False
        self._tasks.clear()
        for task in self.bars.task_ids:
            self.bars.remove_task(task)
        self._tasks[TASK] = self.bars.add_task(
            "training",
            total=record.total_updates,
            completed=record.updates,
            detail="the first update; the first time, its kernels are compiled",
            epochs=record.epochs,
        )

    def updates(self, record: Updates) -> None:
        super().updates(record)
        self.bars.update(
            self._tasks[TASK],
            completed=record.updates,
            description=training.epochs_done(record, self._start),
            detail=training.updates_text(record),
        )

    def valid(self, record: Valid) -> None:
        if not self._headed:
            self._headed = True
            for line in training.VALID_HEADING:
                self.console.print(Text(line, style="bold"))
        self.console.print(training.valid_row(record))

    def end(self, record: End) -> None:
        """After `stop`."""
        if self._headed:
            self.console.print()
        super().end(record)


def _is_done(record: Progress) -> bool:
    return record.total is not None and record.done >= record.total


class _Bars(RichProgress):
    """Bars that leave room for the ^C that a terminal echoes: else it would begin a line, and the bar stay there."""

    def get_renderables(self) -> Iterator[Any]:
        yield _Narrower(self.make_tasks_table(self.tasks))


class _Narrower:
    def __init__(self, inner: Table) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        yield from console.render(self._inner, options.update_width(options.max_width - 3))


class _Share(ProgressColumn):
    """The share that is done. A training says it in epochs: a percentage beside an epoch reads as the epoch's."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))

    def render(self, task: Any) -> Text:
        share = task.completed / task.total if task.total and "epochs" not in task.fields else None
        return Text("" if share is None else f"{share:.0%}", style="progress.percentage")


class _TimeLeft(ProgressColumn):
    """Time left, for tasks that know their end."""

    max_refresh = 0.5

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))

    def render(self, task: Any) -> Text:
        left = task.time_remaining if task.total else None
        return Text("" if left is None else f"{time_left(left)} left")


class _Detail(ProgressColumn):
    """What a task says of itself; cut, not wrapped, where the terminal is narrow."""

    def render(self, task: Any) -> Text:
        # The text does not wrap, and the column may: so this one gives way, not the bar.
        return Text(task.fields.get("detail", ""), style="dim", no_wrap=True, overflow="ellipsis")
