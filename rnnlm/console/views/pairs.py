"""View of the accuracy on minimal pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from rnnlm.evaluation.records import Accuracy


def pairs_view(found: Sequence[Accuracy]) -> Iterator[Table | Text]:
    """``rnnlm pairs``: a row a phenomenon, the last one all of them."""
    some_unknown = any(row.unknown for row in found)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("phenomenon")
    for name in ("pairs", "accuracy", "95% interval", *(["unknown"] if some_unknown else [])):
        table.add_column(name, justify="right")
    for row in found if len(found) > 2 else found[-1:]:
        name = "all" if row.phenomenon is None else row.phenomenon
        accuracy, interval = "none", ""
        if row.accuracy is not None and row.low is not None and row.high is not None:
            accuracy, interval = f"{row.accuracy:.1%}", f"{row.low:.1%} to {row.high:.1%}"
        cells = [f"{row.pairs:,}", accuracy, interval, *([f"{row.unknown:,}"] if some_unknown else [])]
        table.add_row(Text(name), *cells, style="bold" if row.phenomenon is None else "")
    yield table
    if some_unknown:
        last = found[-1]
        yield Text(
            f"unknown: pairs that differ in a word scored as <unk>, left out of the accuracy "
            f"({last.unknown_correct:,} of these {last.unknown:,} would be right)"
        )
