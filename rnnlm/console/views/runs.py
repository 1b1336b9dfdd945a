"""View of runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from rnnlm.console.controls import visible
from rnnlm.console.formats import duration, figure, prose, table, value_text
from rnnlm.runs.records import Group, Ranking, RunSummary

_Column = tuple[str, str, list[str]]  # heading, side, cells


def runs_view(found: Ranking, width: int) -> Iterator[RenderableType]:
    """``rnnlm runs``: a table a group; the settings in one of their own where the screen is too narrow for both."""
    for group in found.groups:
        yield Text(visible(_title(group)), style="bold")
        if group.shared:
            parts = [f"{key}: {value_text(value)}" for key, value in group.shared.items()]
            yield from prose(visible("in common: " + ", ".join(parts)), width)
        yield from _tables(group, width)
    for note in found.notes:
        yield from prose(note, width)


def _title(group: Group) -> str:
    text = "no validation text" if group.valid is None else f"validation text {group.valid}"
    return f"{text}; {group.tokens}"


def _tables(group: Group, width: int) -> Iterator[Table]:
    names, results, settings = _names(group), _results(group), _settings(group)
    if _fits([names, *results, *settings], width):
        yield _table([names, *results, *settings], width)
        return
    yield from _in_parts(names, results, width)
    if _fits([names, *settings], width):
        yield _table([names, *settings], width)
    else:
        yield from _in_parts(*_turned(group), width)


def _in_parts(first: _Column, columns: Sequence[_Column], width: int) -> Iterator[Table]:
    """As many columns a table as the screen has room for, the first one in each."""
    widths = _widths([first, *columns], width)
    part, room = [first], width - widths[0]
    for column, own in zip(columns, widths[1:], strict=True):
        if own > room and len(part) > 1:
            yield _table(part, width)
            part, room = [first], width - widths[0]
        part.append(column)
        room -= own
    if len(part) > 1:
        yield _table(part, width)


def _fits(columns: Sequence[_Column], width: int) -> bool:
    return sum(_widths(columns, width)) <= width


def _widths(columns: Sequence[_Column], width: int) -> list[int]:
    """How wide each column of a `_table` is, with the two spaces beside it."""
    return [
        min(limit, max(cell_len(line) for cell in (heading, *cells) for line in cell.split("\n"))) + 2
        for (heading, _, cells), limit in zip(columns, _limits(len(columns), width), strict=True)
    ]


def _limits(count: int, width: int) -> list[int]:
    """The most that each column of a table may have; a longer name or path goes on in the next line."""
    return [max(16, width // 2)] + [max(16, width // 3)] * (count - 1)


def _table(columns: Sequence[_Column], width: int) -> Table:
    rows = zip(*(cells for _, _, cells in columns), strict=True)
    made = table([(heading, side) for heading, side, _ in columns], [list(map(Text, row)) for row in rows], padding=1)
    for column, limit in zip(made.columns, _limits(len(columns), width), strict=True):
        column.max_width, column.overflow = limit, "fold"
    return made


def _names(group: Group) -> _Column:
    return "run", "left", [visible(run.name) for run in group.runs]


def _results(group: Group) -> list[_Column]:
    runs = group.runs
    return [
        ("validation\nperplexity", "right", [figure(run.best_perplexity) for run in runs]),
        ("at\nepoch", "right", [_epochs(run.best_epoch) for run in runs]),
        ("test\nperplexity", "right", [figure(run.test_perplexity) for run in runs]),
        ("parameters", "right", [f"{run.parameters:,}" for run in runs]),
        ("time", "right", ["-" if run.seconds is None else duration(run.seconds) for run in runs]),
        ("state", "left", [run.state or "-" for run in runs]),
    ]


def _settings(group: Group) -> list[_Column]:
    """A column a setting; its dotted name is broken at the dots, since it is longer than most values."""
    return [(key.replace(".", ".\n"), "right", [_setting(run, key) for run in group.runs]) for key in group.keys]


def _turned(group: Group) -> tuple[_Column, list[_Column]]:
    """A row a setting and a column a run."""
    columns = [(visible(run.name), "right", [_setting(run, key) for key in group.keys]) for run in group.runs]
    return ("setting", "left", list(group.keys)), columns


def _setting(run: RunSummary, key: str) -> str:
    return visible(value_text(run.settings[key])) if key in run.settings else ""


def _epochs(epochs: float | None) -> str:
    return "-" if epochs is None else f"{epochs:.2f}".rstrip("0").rstrip(".")
