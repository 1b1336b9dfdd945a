"""View of the distribution over the next token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from rnnlm.console.controls import visible
from rnnlm.evaluation.records import NextToken

_BAR = 30  # columns of a probability of 1


def next_view(found: Sequence[NextToken], unit: str) -> Iterator[Text]:
    """``rnnlm next``: a token a line, with its probability."""
    spelled = [ascii(token.token) if unit in ("char", "byte") else visible(token.token) for token in found]
    width = max(map(len, spelled))
    for token, name in zip(found, spelled, strict=True):
        bar = "█" * round(_BAR * token.probability)
        line = f"{token.rank:>3}  {name:<{width}}  {token.probability:8.2%}  {token.surprisal:6.2f} bits  {bar}"
        yield Text(line.rstrip())
    rest = 1 - sum(token.probability for token in found)
    if rest > 5e-5:
        yield Text(f"     {'all others':<{max(width, 10)}}  {rest:8.2%}")
