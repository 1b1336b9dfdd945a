"""Formats of numbers, times, tables and lines on the screen."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.table import Table
from rich.text import Text


def table(
    columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str | Text]], padding: int | None = None
) -> Table:
    """A table; columns are (heading, "left" | "right"), with `padding` between them where they are many."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    if padding is not None:
        made.padding = (0, padding, 0, 0)
    for heading, side in columns:
        made.add_column(heading, justify="right" if side == "right" else "left")
    for row in rows:
        made.add_row(*row)
    return made


def facts(pairs: Iterable[tuple[str, str]], width: int) -> Iterator[Text]:
    """A line for each (name, value), the names in a column of `width`."""
    for name, value in pairs:
        yield Text(f"{name:<{width}} {value}")


def prose(text: str, width: int, style: str = "", indent: str = "") -> Iterator[Text]:
    """Lines of at most `width` columns, and of at most 120, broken between words."""
    for line in textwrap.wrap(text, min(width, 120), initial_indent=indent, subsequent_indent=indent):
        yield Text(line, style=style)


def in_cells(text: str, width: int, right: bool = False) -> str:
    """The text in `width` columns of a terminal, where a Chinese character takes two; what is longer is cut."""
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1).rstrip() + "…"
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding


def figure(value: float | None) -> str:
    """A perplexity: two decimals, few digits when it is huge."""
    if value is None:
        return "-"
    return f"{value:,.2f}" if value < 1e6 else f"{value:.3g}"


def amount(value: float | None) -> str:
    """A count with its decimal prefix, before a unit: "12.3 M"."""
    if value is None:
        return "?"
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if value >= size:
            return f"{value / (size if letter != ' k' else 1e3):,.1f}{letter}"
    return f"{value:,.0f} "


def counted(count: int, noun: str) -> str:
    """1 epoch, 2 epochs."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def value_text(value: Any) -> str:
    """A value as one writes it in YAML, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {value_text(item)}" for key, item in value.items()) + "}"
    """A value of the configuration, as YAML has it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as many digits as matter."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def time_left(seconds: float) -> str:
    """An estimate: whole minutes from 100 s on."""
    return duration(seconds) if seconds < 100 or seconds >= 3600 - 30 else f"{round(seconds / 60)} min"


def finite(value: Any) -> Any:
    """`value` with None for every number in it that is not finite: JSON has no word for those."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
