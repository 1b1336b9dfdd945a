"""Views of a derivation's records."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from rnnlm.console.formats import prose
from rnnlm.gradients.derivation.records import Heading, Quantity, Remark, Verdict


def derivation_view(record: Heading | Remark | Quantity, width: int) -> Iterator[RenderableType]:
    """One record of ``rnnlm derive``, on a screen of `width` columns."""
    if isinstance(record, Heading):
        yield Text()
        yield Text(record.text, style="bold")
    elif isinstance(record, Remark):
        yield from prose(record.text, width, "italic", "  ")
    else:
        yield _quantity(record)


def verdict_view(found: Verdict) -> Iterator[RenderableType]:
    """The end of ``rnnlm derive``."""
    verdict, style = ("all of them right", "bold") if found.passed else ("NOT all of them right", "bold red")
    yield Text()
    yield Text(f"{found.checked} quantities checked, {verdict}", style=style)


def _quantity(one: Quantity) -> RenderableType:
    head = Text("  ")
    head.append(one.name, style="bold cyan")
    head.append(f" = {one.rule}    ")
    size = one.symbols.split(" = ")[0]
    numbers = " x ".join(map(str, one.value.shape)) or "1 x 1"
    head.append(f"{one.symbols}" + ("" if size == numbers else f"; {numbers}"), style="dim")
    value = Text("\n".join("      " + line for line in _matrix(one).split("\n")))
    if not one.against:
        return Group(head, value)
    mark = ("✓ ", "green") if one.passed else ("✗ WRONG: ", "bold red")
    shown = " where shown" if one.edge and max(one.value.shape, default=0) > 2 * one.edge else ""
    check = Text.assemble("      ", mark, (f"{one.against}{shown}: largest difference {one.error:.1e}", "dim"))
    return Group(head, value, check)


def _matrix(one: Quantity) -> str:
    """The numbers; of a side longer than twice `edge` only its ends."""
    if one.value.size == 1:
        return f"{float(one.value.reshape(())):.10g}"
    whole = not one.edge or max(one.value.shape) <= 2 * one.edge
    text = np.array2string(
        one.value[0] if len(one.value) == 1 else one.value,
        precision=6 if whole else 4,
        max_line_width=100,
        threshold=one.value.size + 1 if whole else 0,
        edgeitems=one.edge or 3,
    )
    return str(text)
