"""View of the comparison of two models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from rnnlm.console.controls import visible
from rnnlm.console.views.evaluation import STATES
from rnnlm.evaluation.records import Comparison, Difference, WordGain
from rnnlm.work import Note


def comparison_view(found: Comparison, a: str, b: str, source: str) -> Iterator[Table | Text | Note]:
    """``rnnlm compare``: both models, the difference, and the words that it comes from."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "bits a token", "bits a character", "tokens", "unknown"):
        table.add_column(name, justify="right" if name else "left")
    for i, name in enumerate((a, b)):
        table.add_row(
            Text(f"{'AB'[i]}  {name}"), f"{found.bits_per_token[i]:.4f}", f"{found.bits_per_character[i]:.4f}",
            f"{found.tokens[i]:,}", f"{found.unknown[i]:,}",
        )  # fmt: skip
    yield table
    yield from (Text(_line(difference, found.draws), style="bold") for difference in found.differences)
    state = STATES[found.state]
    yield Text(
        f"{source}: {found.lines:,} lines, the state at line ends {state}"
        + (f"; {found.draws:,} draws of {found.stretches:,} stretches" if found.stretches > 1 else "")
    )
    for name, gains in (("A", found.better), ("B", found.worse)):
        if gains:
            yield Text(f"{name} is better at: {_words(gains)}")
    if found.doubtful is not None:
        yield Note(found.doubtful, warning=True)


def _line(found: Difference, draws: int) -> str:
    """Who is better by how much, and what chance does to it."""
    if found.bits == 0:
        return f"no difference in bits a {found.unit}"
    line = f"{'A' if found.bits < 0 else 'B'} is better by {abs(found.bits):.4f} bits a {found.unit}"
    if found.low is None or found.high is None or found.p is None:
        return f"{line}   (too few lines to say how much of it is chance)"
    low, high = sorted((abs(found.low), abs(found.high)))
    span = f"{low:.4f} to {high:.4f}"
    if found.low < 0 < found.high:
        span = f"A by {-found.low:.4f} to B by {found.high:.4f}"
    return f"{line}   (95%: {span}; p {_p(found.p, draws)})"


def _p(p: float, draws: int) -> str:
    least = 2 / (draws + 1)
    return f"< {least:.1g}" if p <= least else f"= {p:.2g}"


def _words(gains: Sequence[WordGain]) -> str:
    return ", ".join(f"{visible(gain.word)} ({abs(gain.bits):,.1f} bits in {gain.count:,})" for gain in gains)
