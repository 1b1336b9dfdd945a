"""View of an n-gram model's perplexity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich import box
from rich.table import Table
from rich.text import Text

from rnnlm.console.formats import figure
from rnnlm.evaluation.records import Evaluation
from rnnlm.work import Note

_TEXTS = {"valid": "validation", "test": "test"}


def ngram_view(found: Mapping[str, Evaluation]) -> Iterator[Table | Text | Note]:
    """``rnnlm ngram``: a row a text; "valid" and "test" by name."""
    if not found:
        yield Text("no validation or test text, so there is nothing to score")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("text", "perplexity", "without unknown", "tokens", "unknown", "bits a token", "bits a character"):
        table.add_column(name, justify="left" if name == "text" else "right")
    for name, row in found.items():
        without = "" if row.perplexity_without_unk is None else figure(row.perplexity_without_unk)
        table.add_row(
            _TEXTS[name], figure(row.perplexity), without, f"{row.tokens:,}", f"{row.unknown:,}",
            f"{row.bits_per_token:.4f}", f"{row.bits_per_character:.4f}",
        )  # fmt: skip
    yield table
    for text in dict.fromkeys(note for row in found.values() for note in row.notes):
        yield Note(text, warning=True)
