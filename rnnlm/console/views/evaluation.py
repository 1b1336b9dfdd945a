"""View of an evaluation: the perplexity, and the counts that belong to it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from rnnlm.console.formats import figure
from rnnlm.evaluation.records import Baseline, Evaluation
from rnnlm.work import Note

# What becomes of the hidden state at line ends.
STATES = {"carry": "carried over", "reset": "reset", "document": "carried over, reset after a blank line"}


def evaluation_view(found: Evaluation, source: str | None = None) -> Iterator[Text | Note]:
    """``rnnlm eval``, and the test text at the end of ``rnnlm train``; `source`: the text's name."""
    rows = [("text", source)] if source is not None else []
    perplexity = "perplexity" if found.word_perplexity is None else "perplexity per piece"
    rows.append((perplexity, figure(found.perplexity)))
    if found.word_perplexity is not None:
        words = f"   ({found.words:,} words between white space; line ends counted)"
        rows.append(("perplexity per word", figure(found.word_perplexity) + words))
    if found.lowest_perplexity is not None:
        over = (found.word_perplexity or found.perplexity) / found.lowest_perplexity - 1
        lowest = f"{figure(found.lowest_perplexity)}   (this model: {over:+.1%})"
        rows.append(("lowest possible perplexity", lowest))
    if found.baseline is not None:
        rows.append((f"{found.baseline.order}-gram model of its training text", _beside(found, found.baseline)))
    without = "none is known" if found.perplexity_without_unk is None else figure(found.perplexity_without_unk)
    mark = "" if found.comparable else " *"
    rows += [
        ("perplexity without unknown tokens", without),
        ("tokens scored", f"{found.tokens:,}   (line ends counted: {found.line_ends:,})"),
        ("unknown tokens", f"{found.unknown:,}   ({found.unknown / found.tokens:.2%})"),
        ("bits a token", f"{found.bits_per_token:.4f}"),
        (
            "bits a character of the raw text",
            f"{found.bits_per_character:.4f}{mark}   ({found.characters:,} characters)",
        ),
        *_normalisation(found),
        ("hidden state at line ends", STATES[found.state]),
        ("hidden state at the beginning", "the model's" if found.initial_state == "model" else "zero"),
        ("speed", f"{found.tokens_per_second:,.0f} tokens/s   ({found.seconds:.2f} s)"),
    ]
    rows += [
        (f"perplexity of {file.path}", f"{figure(file.perplexity)}   ({file.tokens:,} tokens)")
        for file in found.files
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        yield Text(f"{name:<{width}}   {value}", style="bold" if name == perplexity else "")
    if not found.comparable:
        why = f"{found.unknown:,} tokens were scored as <unk>" if found.unknown else "it was scored in lower case"
        yield Text(f"* not to be compared with other models' bits: {why}")
    for text in found.notes:
        yield Note(text, warning=True)


def _beside(found: Evaluation, baseline: Baseline) -> str:
    """An n-gram model's perplexity, over known tokens where only these mean something, and this model along."""
    one, other, of = found.perplexity, baseline.perplexity, ""
    if found.unk_untrained and found.perplexity_without_unk and baseline.perplexity_without_unk:
        one, other, of = found.perplexity_without_unk, baseline.perplexity_without_unk, " without unknown tokens"
    return f"{figure(other)}{of}   (this model: {one / other - 1:+.1%})"


def _normalisation(found: Evaluation) -> list[tuple[str, str]]:
    """How near a self-normalised output layer comes to one Z for all."""
    if found.log_normalizer_mean is None or found.log_normalizer_deviation is None:
        return []
    figures = f"{found.log_normalizer_mean:.3f}, deviation {found.log_normalizer_deviation:.3f}"
    return [("log Z of the output layer", f"{figures}   (deviation 0: normalised by itself)")]
