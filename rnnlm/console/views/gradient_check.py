"""View of a gradient check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from rnnlm.console.formats import counted, prose, table
from rnnlm.gradients.check.records import GradientCheck, ParameterCheck


def gradient_check_view(found: GradientCheck, width: int) -> Iterator[RenderableType]:
    """``rnnlm gradcheck``, on a screen of `width` columns."""
    dropout = ", dropout with fixed masks" if found.dropping else ""
    yield from prose(
        f"a window of {counted(found.steps, 'step')}, {found.loss_steps} with a loss, of "
        f"{counted(found.batch, 'stream')}, after {counted(found.start, 'token')}; float64{dropout}",
        width,
    )
    same = "the same" if found.forward_passed else "NOT the same"
    yield from prose(
        f"loss {found.loss:.10f} nats a token by the kernels, {found.plain_loss:.10f} by the reference "
        f"implementation: {same}",
        width,
        "" if found.forward_passed else "red",
    )
    yield _checks(found.parameters)
    if alone := [one for one in [*found.parameters, *found.untruncated] if one.by_complex]:
        names = ", ".join(dict.fromkeys(f"{one.name} ({one.by_complex} of {one.checked})" for one in alone))
        yield from prose(
            "*: the complex step decides where central differences are only rounding or the loss bends within their "
            f"step: {names}",
            width,
        )
    for line in (
        "abs., rel.: largest error against central differences (rel.: over the gradient's largest number), and where",
        "complex: against a complex step through the reference implementation; random: along random directions",
        f"compared element by element: {_compared(found.parameters)}",
    ):
        yield from prose(line, width, "dim")
    if found.untruncated:
        yield Text()
        yield Text(f"through the {counted(found.through, 'step')} before the window too", style="bold")
        yield _checks(found.untruncated)
        yield Text("truncation bias: the window's own gradient beside the one through those steps", style="bold")
        yield table(
            [("parameter", "left"), ("cosine", "right"), ("norm ratio", "right"), ("lost", "right")],
            [(one.name, f"{one.cosine:.6f}", f"{one.ratio:.6f}", f"{one.difference:.2%}") for one in found.bias],
        )
    for one in [*found.parameters, *found.untruncated]:
        if not one.passed and one.place:
            where = ", ".join(map(str, one.place))
            yield from prose(
                f"{one.name}[{where}]: analytic {one.analytic:.9g}, numeric {one.numeric:.9g}; "
                f"all numbers compared: cosine {one.cosine:.6f}, norm ratio {one.ratio:.6g}",
                width,
            )
    if found.frozen:
        yield from prose(f"not trained, not checked: {', '.join(found.frozen)}", width)
    result, style = ("passed", "bold green") if found.passed else ("FAILED", "bold red")
    yield from prose(f"{result}: {found.verdict} ({found.seconds:.1f} s)", width, style)


def _compared(checks: Sequence[ParameterCheck]) -> str:
    whole = [one.name for one in checks if one.checked == one.size]
    parts = [f"{one.checked} of {one.name}'s {one.size:,}" for one in checks if one.checked < one.size]
    return ", ".join([*([f"all of {', '.join(whole)}"] if whole else []), *parts])


def _checks(checks: Sequence[ParameterCheck]) -> RenderableType:
    columns = [
        ("parameter", "left"), ("shape", "right"), ("abs.", "right"), ("rel.", "right"), ("where", "left"),
        ("complex", "right"), ("random", "right"), ("", "left"),
    ]  # fmt: skip
    rows = [
        (
            one.name,
            "x".join(map(str, one.shape)),
            f"{one.absolute:.1e}",
            f"{one.relative:.1e}",
            ",".join(map(str, one.place)),
            f"{one.complex_step:.1e}",
            f"{one.direction:.1e}",
            Text("pass" + "*" * bool(one.by_complex), "green") if one.passed else Text("FAIL", "bold red"),
        )
        for one in checks
    ]
    return table(columns, rows, padding=1)
