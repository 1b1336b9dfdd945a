"""Samples printed token by token as the network draws them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.text import Text

from rnnlm.console.console import Console
from rnnlm.console.controls import visible
from rnnlm.console.views.sampling import heading, log_probabilities_view, written_view
from rnnlm.sampling.records import Sample, Sampled, extend


def stream(
    console: Console, task: Iterator[Any], samples: Sequence[Sample], unit: str = "word", show: bool = True
) -> None:
    """Run a sampling task to its end, add to the samples what it draws, and draw it.

    One text is written token by token. Several grow side by side in a terminal, and are written at the end elsewhere.

    Args:
        unit: of the tokens. show: False: draw the notes alone, since the texts are printed as JSON.
    """
    steps = _steps(console, task, samples)
    if show and len(samples) == 1:
        _write(console, steps, samples[0])
        console.show(log_probabilities_view(samples[0], unit))
        return
    live = Live(console=console.out, transient=True, refresh_per_second=12)
    if show and console.out.is_terminal:
        live.start()
    try:
        for _ in steps:
            if live.is_started:
                texts = (visible(sample.text.strip()) for sample in samples)
                live.update(Group(*(Text(f"{i}: {text}") for i, text in enumerate(texts, 1))))
    finally:
        live.stop()
    if show:
        console.show(written_view(samples, unit))


def _steps(console: Console, task: Iterator[Any], samples: Sequence[Sample]) -> Iterator[Sampled]:
    """The steps of sampling, added to the samples; other records are drawn."""
    for record in task:
        if isinstance(record, Sampled):
            extend(samples, record)
            yield record
        else:
            console.draw(record)


def _write(console: Console, steps: Iterator[Sampled], sample: Sample) -> None:
    """Write a single text as it grows."""
    begun, last = False, ""
    for step in steps:
        if not begun:
            console.show(heading(sample.name))
        added = step.texts[0] if begun else sample.prompt + step.texts[0]
        begun, last = True, added or last
        console.text(added)
    if not last.endswith("\n"):
        console.text("\n")
