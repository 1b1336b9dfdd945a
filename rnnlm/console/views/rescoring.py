"""View of the rescoring of n-best lists."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from rnnlm.console.formats import facts, table
from rnnlm.evaluation.rescoring.records import Rescoring
from rnnlm.work import Note

_NAMES = {"weight": "weight of log p", "penalty": "word penalty", "old_weight": "weight of the old score"}


def rescoring_view(found: Rescoring) -> Iterator[Table | Text | Note]:
    """``rnnlm rescore``: how many utterances changed, the weights, word errors before and after."""
    weights = {name: getattr(found.weights, name) for name in _NAMES}
    if not found.old_scores:
        del weights["old_weight"]
    yield from facts(
        [
            ("utterances", f"{found.utterances:,}"),
            ("hypotheses", f"{found.hypotheses:,}"),
            ("utterances changed", f"{found.changed:,} ({found.changed / found.utterances:.1%})"),
            ("unknown tokens", f"{found.unknown:,} of {found.tokens:,}"),
            *((_NAMES[name], f"{value:g}{' (tuned)' * (name in found.tuned)}") for name, value in weights.items()),
        ],
        24,
    )
    if found.errors is None:
        return
    parts = (("first", found.errors.first), ("rescored", found.errors.rescored), ("oracle", found.errors.oracle))
    headings = ("", "WER", "errors", "substitutions", "deletions", "insertions")
    yield table(
        [(heading, "right" if heading else "left") for heading in headings],
        (
            (
                name, "-" if part.rate is None else f"{part.rate:.2%}", f"{part.errors:,}", f"{part.substitutions:,}",
                f"{part.deletions:,}", f"{part.insertions:,}",
            )
            for name, part in parts
        ),
    )  # fmt: skip
    yield Text(f"first: the recogniser's own best; oracle: the fewest errors; {found.errors.first.words:,} words")
    if found.tuned:
        options = " ".join(f"--{name.replace('_', '-')} {value!r}" for name, value in weights.items())
        yield Note(
            f"tuned on these very references: on others the rate will be higher; to measure it there, give {options}",
            warning=True,
        )
