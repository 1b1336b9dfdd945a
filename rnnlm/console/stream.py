"""Samples printed token by token as the network draws them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from rich.console import Group
from rich.live import Live
from rich.text import Text

from rnnlm.console.console import Console
from rnnlm.console.controls import visible
from rnnlm.console.views.sampling import samples_view
from rnnlm.sampling.records import Sampled, Samples


class Joiner(Protocol):
    """What puts one sample's tokens together: the text that each token adds, and what is held back to the end."""

    def add(self, token: str) -> str: ...
    def rest(self) -> str: ...


def stream(
    console: Console, task: Iterator[Any], prompt: str, joiners: Sequence[Joiner], show: bool = True
) -> list[str]:
    """Run a sampling task to its end and draw it; returns the texts, one a joiner.

    One text is written token by token. Several grow side by side in a terminal, and are written at the end elsewhere.

    Args:
        show: False: draw the notes alone, since the texts are printed as JSON.
    """
    steps = _steps(console, task, joiners)
    if show and len(joiners) == 1:
        return [_write(console, steps, prompt)]
    texts = [prompt] * len(joiners)
    live = Live(console=console.out, transient=True, refresh_per_second=12)
    if show and console.out.is_terminal:
        live.start()
    try:
        for added in steps:
            texts = [text + piece for text, piece in zip(texts, added, strict=True)]
            if live.is_started:
                live.update(Group(*(Text(f"{i}: {visible(text.strip())}") for i, text in enumerate(texts, 1))))
    finally:
        live.stop()
    if show:
        console.show(samples_view(Samples(tuple(texts))))
    return texts


def _steps(console: Console, task: Iterator[Any], joiners: Sequence[Joiner]) -> Iterator[list[str]]:
    """What each step of sampling adds to each text, and what the joiners held back; other records are drawn."""
    for record in task:
        if isinstance(record, Sampled):
            pieces = zip(joiners, record.pieces, strict=True)
            yield ["" if piece is None else joiner.add(piece) for joiner, piece in pieces]
        else:
            console.draw(record)
    yield [joiner.rest() for joiner in joiners]


def _write(console: Console, steps: Iterator[list[str]], prompt: str) -> str:
    """Write a single text as it grows."""
    text = ""
    for (added,) in steps:
        added = added if text else prompt + added
        text += added
        console.text(added)
    if not text.endswith("\n"):
        console.text("\n")
    return text
