"""Views of grammars and corpora."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType

from rnnlm.console.formats import amount, facts, figure, table

_SPLITS = ("train", "valid", "test")


def grammars_view(found: dict[str, Any]) -> Iterator[RenderableType]:
    """The built-in grammars of ``rnnlm corpus list``: a description of each by its name."""
    yield table(
        [
            ("grammar", "left"),
            ("words", "right"),
            ("words a sentence", "right"),
            ("bits a token", "right"),
            ("lowest perplexity", "right"),
        ],
        [
            (
                name,
                f"{d.words:,}",
                f"{d.mean_sentence_length:.2f}",
                f"{d.entropy_rate_bits:.4f}",
                figure(d.lowest_perplexity),
            )
            for name, d in found.items()
        ],
    )


def corpora_view(found: Sequence[Any]) -> Iterator[RenderableType]:
    """The public corpora of ``rnnlm corpus list``: their sizes, then what each of them is."""
    # Few columns: in 80 of the terminal's, what is cut first is the name, which `corpus get` wants whole.
    yield table(
        [
            ("corpus", "left"),
            ("unit", "left"),
            *((f"{split} tokens", "right") for split in _SPLITS),
            ("download", "right"),
        ],
        [
            (
                entry.name,
                entry.unit,
                *(f"{entry.splits[split].tokens:,}" if split in entry.splits else "-" for split in _SPLITS),
                "is here" if entry.present else "?" if entry.size is None else f"{amount(entry.size)}B",
            )
            for entry in found
        ],
    )
    yield table(
        [("corpus", "left"), ("what it is", "left"), ("licence", "left")],
        [(entry.name, entry.title, entry.licence) for entry in found],
    )


def made_view(made: Any) -> Iterator[RenderableType]:
    """``rnnlm corpus make``: a grammar and the texts that were written from it."""
    d = made.grammar
    bound = "" if d.unambiguous else ", or less: the grammar may be ambiguous"
    pairs = [
        ("grammar", f"{d.path}: {d.words:,} words, {d.rules:,} rules"),
        ("mean sentence", f"{d.mean_sentence_length:.4f} words"),
        ("entropy of a sentence", f"{d.entropy_per_sentence_bits:.6f} bits{bound}"),
        ("entropy rate", f"{d.entropy_rate_bits:.6f} bits a token, one </s> a sentence counted{bound}"),
        ("lowest perplexity", f"{d.lowest_perplexity:.4f}{bound}"),
    ]
    if d.ambiguity is not None:
        pairs.append(("why not exact", d.ambiguity))
    yield from facts(pairs, 22)
    yield table(
        [("text", "left"), ("sentences", "right"), ("tokens", "right"), ("grammar's perplexity", "right")],
        [(t.path, f"{t.sentences:,}", f"{t.tokens:,}", f"{t.perplexity:.4f}") for t in made.texts],
    )
