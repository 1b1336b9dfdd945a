"""Views of a ledger: parts of a gradient by time lag, and the words each loss reaches back to."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from rnnlm.console.formats import counted, in_cells, prose, table
from rnnlm.gradients.ledger.records import Carried, LayerLedger, Ledger

_SHADES = " ·░▒▓█"
# How far rounding alone can move the kernels' gradient, relative to its norm: long windows of several layers add up.
_ROUNDING = {"float32": 1e-5, "float64": 1e-11}
_STRIP = 40  # the most lags that a strip shows
# Which columns a wide and a narrow screen show of H, I, b1 and e.
_ALL = {
    "H": ("norm", "share", "cosine"),
    "I": ("norm", "share", "cosine"),
    "b1": ("norm", "share", "cosine"),
    "e": ("norm",),
}
_FEW = {"H": ("norm", "share", "cosine"), "I": ("norm",), "b1": ("norm",), "e": ("norm",)}


def ledger_view(found: Ledger, width: int) -> Iterator[RenderableType]:
    """``rnnlm gradients``, on a screen of `width` columns."""
    network = f"{found.activation or found.cell}, {counted(len(found.layers), 'layer')} of {found.hidden}"
    yield from prose(
        f"{found.source}, tokens {found.start + 1:,} to {found.start + found.steps:,}: "
        f"{counted(found.steps, 'step')}, the last {len(found.surprisal)} with a loss; "
        f"{network}, {found.precision}",
        width,
    )
    for layer in found.layers:
        yield Text()
        yield Text(f"{layer.name}, by lag: the parts dJ(t)/d.|(t-k), means over the losses", style="bold")
        yield _lags(found, layer, _ALL if width >= 110 else _FEW)
        if layer.gates:
            yield Text(f"{layer.name}, by gate", style="bold")
            yield _gates(layer)
        yield from prose(_flow(layer), width)
        for state in layer.jacobians:
            yield from prose(_flow(layer, state), width)
        if layer.carried is not None:
            yield from prose(_carried(layer, layer.carried), width)
    yield Text()
    yield Text("which earlier words each word's loss reaches back to: the norm of dJ(t)/de(t-k)", style="bold")
    yield from _strips(found, width)
    yield Text()
    worst = max(value for layer in found.layers for value in layer.agreement.values())
    agrees = worst < _ROUNDING[found.precision]
    yield from prose(
        f"all parts added up are the training kernels' gradient to {worst:.1e} of its norm ({found.seconds:.2f} s)"
        + ("" if agrees else ": more than rounding explains; rnnlm gradcheck says what is wrong"),
        width,
        "" if agrees else "bold red",
    )
    yield from prose(_advice(found), width, "bold")


def _lags(found: Ledger, layer: LayerLedger, shown: dict[str, tuple[str, ...]]) -> RenderableType:
    columns = [("lag", "right")]
    shown = {name: figures for name, figures in shown.items() if name in layer.norm}
    for name, figures in shown.items():
        columns += [(f"norm {name}" if figure == "norm" else figure, "right") for figure in figures]
    rows = []
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
        rows.append([*cells, f"{one.jacobian:.1e}", f"{kept.ratio:.2%}"])
    return table([*columns, ("dh/dh", "right"), ("kept", "right")], rows, padding=1)


def _gates(layer: LayerLedger) -> RenderableType:
    """Norms of the parts of H by gate (of I where a cell has no H), and what the state's own path lets through."""
    matrix = "H" if "H" in layer.norm else "I"
    names = [name for name in layer.gates if name.startswith(f"{matrix}_")]
    columns = [("lag", "right"), *((f"norm {name}", "right") for name in names)]
    columns += [(f"d{state}/d{state}", "right") for state in ("h", *layer.jacobians)]
    if layer.carried is not None:
        columns += [(f"{layer.carried.gate}, product", "right"), ("mean unit", "right")]
    rows = []
    for lag in _shown(len(layer.lags)):
        one = layer.lags[lag]
        figures = [*(one.norm[name] for name in names), one.jacobian, *one.jacobians.values()]
        figures += [figure for figure in (one.carried, one.carried_mean) if figure is not None]
        rows.append([str(lag), *(f"{figure:.1e}" for figure in figures)])
    return table(columns, rows, padding=1)


def _shown(lags: int) -> list[int]:
    """All of few lags; of many the first, every fifth, and the last."""
    if lags <= 20:
        return list(range(lags))
    return [lag for lag in range(lags) if lag < 10 or lag % 5 == 0 or lag == lags - 1]


def _flow(layer: LayerLedger, state: str = "h") -> str:
    rate = layer.rate if state == "h" else layer.rates[state]
    if rate is None:
        return "too few steps to say whether the gradient vanishes"
    norms = [(one.lag, one.jacobian if state == "h" else one.jacobians[state]) for one in layer.lags]
    reached = [(lag, norm) for lag, norm in norms if lag > 0 and 0 < norm < math.inf]
    (first_lag, first), (last_lag, last) = reached[0], reached[-1]
    if 0.99 <= rate <= 1.01:
        found = "the gradient keeps its size"
    elif rate < 1:
        found = "the gradient vanishes" if last < 1 else "it falls, but is not below 1 in this window"
    else:
        found = "the gradient explodes" if last > 1 else "it grows, but is not above 1 in this window"
    return (
        f"d{state}(t)/d{state}(t-k) is {first:.2e} at lag {first_lag} and {last:.2e} at lag {last_lag}, a factor of "
        f"{rate:.3f} a step: {found}"
    )


def _carried(layer: LayerLedger, carried: Carried) -> str:
    """The path of the state that is only multiplied, beside the norm that it explains."""
    last = next((one for one in reversed(layer.lags) if one.carried), layer.lags[0])
    norm = last.jacobian if carried.state == "h" else last.jacobians[carried.state]
    return (
        f"of d{carried.state}(t)/d{carried.state}(t-{last.lag}), {norm:.2e}, the product of {carried.gate} over the "
        f"{last.lag} steps alone lets through {last.carried or 0:.2e} in the unit that keeps most, "
        f"{last.carried_mean or 0:.2e} in the mean unit"
    )


def _strips(found: Ledger, screen: int) -> Iterator[Text]:
    width = max(len("loss of"), min(12, max(map(cell_len, found.targets[found.first_loss :]))))
    lags = max(8, min(_STRIP, found.steps, screen - width - 52))
    yield Text(f"{'loss of':>{width}}  nats  {'lag 0, 1, 2 ...':<{lags}}  words that it reaches back to", style="dim")
    for i, surprisal in enumerate(found.surprisal):
        t = found.first_loss + i
        reach = np.nan_to_num(found.reach[i])
        # The square root, so that small shares can be seen too.
        levels = np.ceil(np.sqrt(reach / max(reach.max(), 1e-300)) * (len(_SHADES) - 1)).astype(int)
        strip = "".join(_SHADES[level] for level in levels[:lags])
        most = [k for k in np.argsort(-reach, kind="stable")[:3] if reach[k] > 0.005]
        words = " · ".join(f"{in_cells(found.inputs[t - k], 12).rstrip()} {reach[k]:.0%}" for k in most)
        line = Text(f"{in_cells(found.targets[t], width, right=True)} {surprisal:5.2f}  ")
        line.append(f"{strip:<{max(lags, 15)}}", style="cyan")
        line.append(f"  {words}" if words else "  none")
        yield line


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
