"""How gradient checks, ledgers and derivations look."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from rnnlm.console.formats import counted, new_table
from rnnlm.gradients.check.records import GradientCheck, ParameterCheck
from rnnlm.gradients.derivation.records import Heading, Quantity, Remark
from rnnlm.gradients.ledger.records import LayerLedger, Ledger

_SHADES = " ·░▒▓█"
# How far rounding alone can move the kernels' gradient, relative to its norm: long windows of several layers add up.
_ROUNDING = {"float32": 1e-5, "float64": 1e-11}
_STRIP = 40  # the most lags that a strip shows


def _prose(text: str, width: int, style: str = "", indent: str = "") -> Iterator[Text]:
    """Lines broken between words."""
    for line in textwrap.wrap(text, min(width, 120), initial_indent=indent, subsequent_indent=indent):
        yield Text(line, style=style)


# -- gradient check
# -----------------------------------------------------------------------------------------------------------------


def gradient_check(found: GradientCheck, width: int) -> Iterator[RenderableType]:
    """What ``rnnlm gradcheck`` found, for a screen of `width` columns."""
    dropout = ", dropout with fixed masks" if found.dropping else ""
    yield from _prose(
        f"a window of {counted(found.steps, 'step')}, {found.loss_steps} with a loss, of "
        f"{counted(found.batch, 'stream')}, after {counted(found.start, 'token')}; float64{dropout}",
        width,
    )
    same = "the same" if found.forward_passed else "NOT the same"
    yield from _prose(
        f"loss {found.loss:.10f} nats a token by the kernels, {found.plain_loss:.10f} by the plain equations: {same}",
        width,
        "" if found.forward_passed else "red",
    )
    yield _checks(found.parameters)
    for line in (
        "abs., rel.: largest error against central differences (rel.: over the gradient's largest number), and where",
        "complex: against a complex step through the plain equations; random: along random directions",
        f"compared number by number: {_compared(found.parameters)}",
    ):
        yield from _prose(line, width, "dim")
    if found.untruncated:
        yield Text()
        yield Text(f"through the {counted(found.through, 'step')} before the window too", style="bold")
        yield _checks(found.untruncated)
        yield Text("truncation bias: the window's own gradient beside the one through those steps", style="bold")
        table = new_table([("parameter", "left"), ("cosine", "right"), ("norm ratio", "right"), ("lost", "right")])
        for bias in found.bias:
            table.add_row(bias.name, f"{bias.cosine:.6f}", f"{bias.ratio:.6f}", f"{bias.difference:.2%}")
        yield table
    for one in [*found.parameters, *found.untruncated]:
        if not one.passed and one.place:
            where = ", ".join(map(str, one.place))
            yield from _prose(
                f"{one.name}[{where}]: analytic {one.analytic:.9g}, numeric {one.numeric:.9g}; "
                f"all numbers compared: cosine {one.cosine:.6f}, norm ratio {one.ratio:.6g}",
                width,
            )
    if found.frozen:
        yield from _prose(f"not trained, not checked: {', '.join(found.frozen)}", width)
    result, style = ("passed", "bold green") if found.passed else ("FAILED", "bold red")
    yield from _prose(f"{result}: {found.verdict} ({found.seconds:.1f} s)", width, style)


def _compared(checks: Sequence[ParameterCheck]) -> str:
    whole = [one.name for one in checks if one.checked == one.size]
    parts = [f"{one.checked} of {one.name}'s {one.size:,}" for one in checks if one.checked < one.size]
    return ", ".join([*([f"all of {', '.join(whole)}"] if whole else []), *parts])


def _checks(checks: Sequence[ParameterCheck]) -> RenderableType:
    columns = [
        ("parameter", "left"), ("shape", "right"), ("abs.", "right"), ("rel.", "right"), ("where", "left"),
        ("complex", "right"), ("random", "right"), ("", "left"),
    ]  # fmt: skip
    table = new_table(columns)
    table.padding = (0, 1, 0, 0)
    for one in checks:
        table.add_row(
            one.name,
            "x".join(map(str, one.shape)),
            f"{one.absolute:.1e}",
            f"{one.relative:.1e}",
            ",".join(map(str, one.place)),
            f"{one.complex_step:.1e}",
            f"{one.direction:.1e}",
            Text("pass", "green") if one.passed else Text("FAIL", "bold red"),
        )
    return table


# -- ledger
# -----------------------------------------------------------------------------------------------------------------


def ledger(found: Ledger, width: int) -> Iterator[RenderableType]:
    """What ``rnnlm gradients`` found, for a screen of `width` columns."""
    yield from _prose(
        f"{found.source}, tokens {found.start + 1:,} to {found.start + found.steps:,}: "
        f"{counted(found.steps, 'step')}, the last {len(found.surprisal)} with a loss; {found.activation}, "
        f"{counted(len(found.layers), 'layer')} of {found.hidden}, {found.precision}",
        width,
    )
    for layer in found.layers:
        yield Text()
        yield Text(f"{layer.name}, by lag: the parts dJ(t)/d.|(t-k), means over the losses", style="bold")
        yield _lags(found, layer, _ALL if width >= 110 else _FEW)
        yield from _prose(_flow(layer), width)
    yield Text()
    yield Text("which earlier words each word's loss reaches back to: the norm of dJ(t)/de(t-k)", style="bold")
    yield from _strips(found, width)
    yield Text()
    worst = max(value for layer in found.layers for value in layer.agreement.values())
    agrees = worst < _ROUNDING[found.precision]
    yield from _prose(
        f"all parts added up are the training kernels' gradient to {worst:.1e} of its norm ({found.seconds:.2f} s)"
        + ("" if agrees else ": more than rounding explains; rnnlm gradcheck says what is wrong"),
        width,
        "" if agrees else "bold red",
    )
    yield from _prose(_advice(found), width, "bold")


# Which columns a wide and a narrow screen show of H, I, b1 and e.
_ALL = {
    "H": ("norm", "share", "cosine"),
    "I": ("norm", "share", "cosine"),
    "b1": ("norm", "share", "cosine"),
    "e": ("norm",),
}
_FEW = {"H": ("norm", "share", "cosine"), "I": ("norm",), "b1": ("norm",), "e": ("norm",)}


def _lags(found: Ledger, layer: LayerLedger, shown: dict[str, tuple[str, ...]]) -> RenderableType:
    columns = [("lag", "right")]
    for name, figures in shown.items():
        columns += [(f"norm {name}" if figure == "norm" else figure, "right") for figure in figures]
    table = new_table([*columns, ("dh/dh", "right"), ("kept", "right")])
    table.padding = (0, 1, 0, 0)
    for lag in _shown(len(layer.lags)):
        one, kept = layer.lags[lag], found.kept[lag]
        cells = [str(lag)]
        for name, figures in shown.items():
            texts = {
                "norm": f"{one.norm[name]:.1e}",
                "share": f"{one.share[name]:.1%}",
                "cosine": f"{one.cosine[name]:+.2f}",
            }
            cells += [texts[figure] for figure in figures]
        table.add_row(*cells, f"{one.jacobian:.1e}", f"{kept.ratio:.2%}")
    return table


def _shown(lags: int) -> list[int]:
    """All of few lags; of many the first, every fifth, and the last."""
    if lags <= 20:
        return list(range(lags))
    return [lag for lag in range(lags) if lag < 10 or lag % 5 == 0 or lag == lags - 1]


def _flow(layer: LayerLedger) -> str:
    if layer.rate is None:
        return "too few steps to say whether the gradient vanishes"
    kind = "vanishes" if layer.rate < 0.99 else "explodes" if layer.rate > 1.01 else "keeps its size"
    last = [one for one in layer.lags if 0 < one.jacobian < math.inf][-1]
    return (
        f"dh(t)/dh(t-k) is multiplied by {layer.rate:.3f} a step and is {last.jacobian:.2e} after {last.lag}: the "
        f"gradient {kind}"
    )


def _strips(found: Ledger, screen: int) -> Iterator[Text]:
    width = max(len("loss of"), min(12, max(map(len, found.targets[found.first_loss :]))))
    lags = max(8, min(_STRIP, found.steps, screen - width - 52))
    yield Text(f"{'loss of':>{width}}  nats  {'lag 0, 1, 2 ...':<{lags}}  words that it reaches back to", style="dim")
    for i, surprisal in enumerate(found.surprisal):
        t = found.first_loss + i
        reach = np.nan_to_num(found.reach[i])
        # The square root, so that small shares can be seen too.
        levels = np.ceil(np.sqrt(reach / max(reach.max(), 1e-300)) * (len(_SHADES) - 1)).astype(int)
        strip = "".join(_SHADES[level] for level in levels[:lags])
        most = [k for k in np.argsort(-reach, kind="stable")[:3] if reach[k] > 0.005]
        words = " · ".join(f"{_cut(found.inputs[t - k], 12)} {reach[k]:.0%}" for k in most)
        line = Text(f"{_cut(found.targets[t], width):>{width}} {surprisal:5.2f}  ")
        line.append(f"{strip:<{max(lags, 15)}}", style="cyan")
        line.append(f"  {words}" if words else "  none")
        yield line


def _cut(word: str, width: int) -> str:
    return word if len(word) <= width else word[: width - 1] + "…"


def _advice(found: Ledger) -> str:
    own = found.kept[min(found.bptt, found.steps) - 1]
    text = f"bptt: {found.advice} keeps 99% of this gradient's norm"
    if found.advice > 0.9 * found.steps:
        text += f"; the window may be too short to say: give --steps above {found.steps}"
    elif found.bptt < found.steps:
        text += f"; the model's {found.bptt} keeps {own.ratio:.2%}, and what it loses has {own.lost:.2%} of the norm"
    else:
        text += f"; the model was trained with {found.bptt}"
    return text


# -- derivation
# -----------------------------------------------------------------------------------------------------------------


def derivation_step(record: Heading | Remark | Quantity, width: int) -> Iterator[RenderableType]:
    """One record of ``rnnlm derive``, for a screen of `width` columns."""
    if isinstance(record, Heading):
        yield Text()
        yield Text(record.text, style="bold")
    elif isinstance(record, Remark):
        yield from _prose(record.text, width, "italic", "  ")
    else:
        yield _quantity(record)


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
