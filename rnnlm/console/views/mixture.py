"""View of a mixture of predictors."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from rnnlm.console.formats import figure
from rnnlm.console.views.evaluation import STATES
from rnnlm.evaluation.records import Evaluation, Mixture


def mixture_view(found: Mixture, source: str) -> Iterator[Table | Text]:
    """``rnnlm eval --with``: a row a predictor, the last one all together."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "weight", "perplexity", "bits a token", "bits a character"):
        table.add_column(name, justify="right" if name else "left")
    rows = [(part.name, f"{part.weight:.4f}", part.alone, "") for part in found.parts]
    for name, weight, row, style in (*rows, ("together", "", found.together, "bold")):
        # A cache alone holds impossible what it has not seen.
        bits = ("", "", "") if row is None else _figures(row)
        table.add_row(Text(name), weight, *bits, style=style)
    yield table
    whence = "those that make the validation text most probable" if found.tuned else "as given, divided by their sum"
    for part in found.parts:
        if part.numbers:
            yield Text(f"{part.name}: {part.numbers}")
    one = found.together
    yield Text(
        f"{source}: {one.tokens:,} tokens, {one.unknown:,} unknown, line ends counted: {one.line_ends:,}; the state "
        f"at line ends {STATES[one.state]}; weights: {whence}"
    )


def _figures(row: Evaluation) -> tuple[str, str, str]:
    return figure(row.perplexity), f"{row.bits_per_token:.4f}", f"{row.bits_per_character:.4f}"
