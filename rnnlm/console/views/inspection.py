"""Views of a model file's contents, and of the words near some words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from rnnlm.console.controls import visible
from rnnlm.console.formats import counted, facts, figure, in_cells, table, value_text
from rnnlm.evaluation.records import Neighbours

_INDENT = 11  # columns of a section's name


def inspection_view(found: dict[str, Any], width: int) -> Iterator[RenderableType]:
    """``rnnlm inspect``."""
    training = found["training"]
    epochs = counted(training["epoch"], "epoch")
    initial = found["initial_state"] == "model"
    subwords = found.get("subwords")
    best = training.get("best_validation_perplexity")
    yield from facts(
        [
            ("file", found["path"]),
            ("parameters", f"{found['parameters']:,}"),
            ("vocabulary", f"{found['vocabulary']:,} tokens: {visible(' '.join(found['most_frequent']))} ..."),
            *([] if subwords is None else [("subwords", f"{subwords['made_by']}, sha256 {subwords['sha256']}")]),
            ("trained", f"{training['updates']:,} updates, {epochs}, by rnnlm {training['version']}"),
            ("best", "no validation text" if best is None else f"validation perplexity {figure(best)}"),
            ("texts begin", "with the mean state at line ends of the validation text" if initial else "with zero"),
        ],
        _INDENT,
    )
    yield table(
        [("tensor", "left"), ("shape", "right"), ("type", "left"), ("norm", "right"), ("largest", "right")],
        [
            (name, " x ".join(f"{n:,}" for n in t["shape"]), t["type"], f"{t['norm']:.4g}", f"{t['largest']:.4g}")
            for name, t in found["tensors"].items()
        ],
    )
    for section, values in found["config"].items():
        parts = [f"{key}: {value_text(value)}" for key, value in values.items()]
        yield Text(section_lines(section, parts, width))


def nearest_view(found: Sequence[Neighbours], width: int) -> Iterator[RenderableType]:
    """``rnnlm inspect --nearest``: a line a word, and below it a neighbour a line, with the cosine."""
    for neighbours in found:
        yield Text(in_cells(visible(neighbours.token), width).rstrip(), style="bold")
        for neighbour in neighbours.nearest:
            token = in_cells(visible(neighbour.token), max(width - 11, 1)).rstrip()
            yield Text(f"  {neighbour.cosine:7.4f}  {token}")


def section_lines(name: str, parts: Sequence[str], width: int) -> str:
    """The `parts` of a section after its `name`; broken between the parts, and indented."""
    lines = [f"{name:<{_INDENT}} "]
    for number, part in enumerate(parts, 1):
        piece = part + ("," if number < len(parts) else "")
        if len(lines[-1]) + len(piece) >= width and lines[-1].strip():
            lines.append(" " * (_INDENT + 1))
        lines[-1] += piece + " "
    return "\n".join(line.rstrip() for line in lines)
