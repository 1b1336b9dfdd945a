"""Views of a derivation's records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.text import Text

from rnnlm.console.formats import prose
from rnnlm.gradients.derivation.records import FormulaCheck, Heading, Quantity, Remark, Verdict


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


def formula_view(one: FormulaCheck, width: int) -> Iterator[RenderableType]:
    """One formula of ``rnnlm derive --check``."""
    yield Text()
    yield Text(f"  {one.formula}", style="bold cyan")
    if one.value is not None:
        yield Text.assemble("    the formula gives", (f"    {one.has}", "dim"))
        yield Text(_indented(one.value, one.edge))
    if one.passed:
        by_others = "and right with other numbers"
        error = f"largest difference {one.error:.1e}"
        yield Text.assemble("    ", ("✓ right", "bold green"), (f"; {one.against}: {error}, {by_others}", "dim"))
        return
    yield Text.assemble(f"    {one.name} is", (f"    {one.symbols}", "dim"))
    yield Text(_indented(one.right, one.edge))
    by = f"largest difference {one.error:.1e} ({one.against})" if one.against else f"{one.has}, not {one.symbols}"
    if one.by_chance:
        by = "right with these numbers by chance, not with others"
    if one.unfit:
        by = "it has no value"
    yield Text.assemble("    ", ("✗ WRONG", "bold red"), (f": {by}", "dim"))
    if one.unfit:
        yield from prose(one.unfit, width, "", "    ")
    mistake = one.mistake or "no single mistake explains it; check its parts one by one"
    yield from prose(mistake, width, "", "    ")
    if one.corrected:
        yield Text.assemble("    right is ", (one.corrected, "bold"))


def formulas_view(found: Sequence[FormulaCheck]) -> Iterator[RenderableType]:
    """The end of ``rnnlm derive --check``."""
    wrong = sum(not one.passed for one in found)
    formulas = "1 formula" if len(found) == 1 else f"{len(found)} formulas"
    verdict = "right" if not wrong else "WRONG" if wrong == len(found) else f"{wrong} of them WRONG"
    yield Text()
    yield Text(f"{formulas} checked, {verdict}", style="bold red" if wrong else "bold")


def _quantity(one: Quantity) -> RenderableType:
    head = Text("  ")
    head.append(one.name, style="bold cyan")
    head.append(f" = {one.rule}    ")
    size = one.symbols.split(" = ")[0]
    numbers = " x ".join(map(str, one.value.shape)) or "1 x 1"
    head.append(f"{one.symbols}" + ("" if size == numbers else f"; {numbers}"), style="dim")
    value = Text(_indented(one.value, one.edge))
    if not one.against:
        return Group(head, value)
    mark = ("✓ ", "green") if one.passed else ("✗ WRONG: ", "bold red")
    shown = " where shown" if one.edge and max(one.value.shape, default=0) > 2 * one.edge else ""
    check = Text.assemble("      ", mark, (f"{one.against}{shown}: largest difference {one.error:.1e}", "dim"))
    return Group(head, value, check)


def _indented(value: NDArray[np.float64], edge: int) -> str:
    return "\n".join("      " + line for line in _matrix(value, edge).split("\n"))


def _matrix(value: NDArray[np.float64], edge: int) -> str:
    """The numbers; of a side longer than twice `edge` only its ends."""
    if value.size == 1:
        return f"{float(value.reshape(())):.10g}"
    whole = not edge or max(value.shape) <= 2 * edge
    text = np.array2string(
        value[0] if len(value) == 1 else value,
        precision=6 if whole else 4,
        max_line_width=100,
        threshold=value.size + 1 if whole else 0,
        edgeitems=edge or 3,
    )
    return str(text)
