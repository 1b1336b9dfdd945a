"""View of the accuracy on test suites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from rnnlm.evaluation.records import SuiteAccuracy


def suites_view(found: Sequence[SuiteAccuracy], mean: float) -> Iterator[Table | Text]:
    """``rnnlm syntaxgym``: a row a prediction and a suite, and the mean over suites."""
    some_unknown = any(row.unknown for row in found)
    several = any(row.prediction for row in found)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("suite")
    if several:
        table.add_column("prediction", justify="right")
    for name in ("items", "accuracy", "95% interval", *(["unknown"] if some_unknown else [])):
        table.add_column(name, justify="right")
    for row in found:
        of = [] if not several else [str(row.prediction or "all")]
        interval = f"{row.low:.1%} to {row.high:.1%}"
        cells = [*of, f"{row.items:,}", f"{row.accuracy:.1%}", interval, *([f"{row.unknown:,}"] * some_unknown)]
        table.add_row(Text(row.suite), *cells, style="bold" if several and row.prediction is None else "")
    yield table
    if sum(row.prediction is None for row in found) > 1:
        yield Text(f"mean over suites {mean:.1%}")
    if some_unknown:
        yield Text("unknown: items with a word scored as <unk> in a region that the prediction names")
