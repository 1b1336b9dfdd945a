"""Progress bars."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.progress import Progress, ProgressColumn
from rich.table import Column, Table
from rich.text import Text

from rnnlm.console.formats import duration


class Bars(Progress):
    """Bars that leave room for the ^C that a terminal echoes: else it would begin a line, and the bar stay there."""

    def get_renderables(self) -> Iterator[Any]:
        yield _Narrower(self.make_tasks_table(self.tasks))


class _Narrower:
    def __init__(self, inner: Table) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        yield from console.render(self._inner, options.update_width(options.max_width - 3))


class Left(ProgressColumn):
    """Time left, for tasks that know their end."""

    max_refresh = 0.5

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))

    def render(self, task: Any) -> Text:
        left = task.time_remaining if task.total else None
        return Text("" if left is None else f"{duration(left)} left")


class Detail(ProgressColumn):
    """What a task says of itself; cut, not wrapped, where the terminal is narrow."""

    def render(self, task: Any) -> Text:
        # The text does not wrap, and the column may: so this one gives way, not the bar.
        return Text(task.fields.get("detail", ""), style="dim", no_wrap=True, overflow="ellipsis")
