"""A terminal to draw on, and the records of a training run to draw."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import RenderableType

from rnnlm.console import Console
from rnnlm.console.controls import Screen
from rnnlm.training.records import End, Start, Updates, Valid
from rnnlm.work import Note, Progress

RUN = "runs/[bold]x:dog:"
# The last fields of `Start`, which no view shows.
ORIGIN = ("0.1.0", "c0ffee", {}, 1, "znver4", "2026-01-01T00:00:00+00:00")


def training(epochs: int = 3) -> Iterator[Any]:
    """The records of a run whose figures are as wide as they get."""
    yield Progress("vocabulary", 2e6, 2e6, "bytes")
    yield Start(0, 0, epochs, 10, 10 * epochs, 5000, 98816, 2, "float32", "train.precision", *ORIGIN)
    for epoch in range(epochs):
        yield Updates(10 * epoch + 5, epoch, 500, 60.0 * epoch + 1, 9.1, 8955.3, 123456.0, 2.5e-05, 12.345)
        loss = 9 - epoch
        best = epoch < 2
        yield Valid(10 * epoch + 10, epoch + 1, 500, 3700.0 * epoch, loss, 8103.1, 1e5, 9.77e-07, 10_103.1, best)
    yield End(10 * epochs, epochs, 5000, 75.0, "patience", 1096.6, RUN)
    yield Note("a [note] about :dog:")
    return {"reason": "patience"}


def terminal(width: int) -> tuple[Console, io.StringIO]:
    """A console whose both streams are one terminal, and what that gets."""
    stream = io.StringIO()
    screen = Screen(
        file=stream, force_terminal=True, width=width, soft_wrap=True, highlight=False, markup=False, emoji=False,
        color_system="standard", _environ={},
    )  # fmt: skip
    return Console(out=screen, err=screen), stream


def drawn(stream: io.StringIO) -> list[str]:
    """The lines that a terminal got, the states of the bars too, without their control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).replace("\r", "\n").split("\n")


def in_terminal(width: int, work: Iterator[Any]) -> list[str]:
    """The lines that a terminal gets from a task."""
    console, stream = terminal(width)

    def refreshed() -> Iterator[Any]:
        for record in work:
            yield record
            if console._bars is not None:
                console._bars.bars.refresh()  # now, not at the next eighth of a second

    console.watch(refreshed())
    return drawn(stream)


def shown(view: Iterable[RenderableType | Note], width: int = 100) -> str:
    """What a terminal gets from a view."""
    console, stream = terminal(width)
    console.show(view)
    return "\n".join(line.rstrip() for line in drawn(stream))
