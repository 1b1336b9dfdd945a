"""Views of a ledger: parts of a gradient by time lag, and the words each loss reaches back to."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from rnnlm.console.formats import counted, in_cells, prose, table
from rnnlm.gradients.ledger.records import LayerLedger, Ledger

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
    yield from prose(
        f"{found.source}, tokens {found.start + 1:,} to {found.start + found.steps:,}: "
        f"{counted(found.steps, 'step')}, the last {len(found.surprisal)} with a loss; {found.activation}, "
        f"{counted(len(found.layers), 'layer')} of {found.hidden}, {found.precision}",
        width,
    )
    for layer in found.layers:
        yield Text()
        yield Text(f"{layer.name}, by lag: the parts dJ(t)/d.|(t-k), means over the losses", style="bold")
        yield _lags(found, layer, _ALL if width >= 110 else _FEW)
        yield from prose(_flow(layer), width)
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


def _shown(lags: int) -> list[int]:
    """All of few lags; of many the first, every fifth, and the last."""
    if lags <= 20:
        return list(range(lags))
    return [lag for lag in range(lags) if lag < 10 or lag % 5 == 0 or lag == lags - 1]


def _flow(layer: LayerLedger) -> str:
    if layer.rate is None:
        return "too few steps to say whether the gradient vanishes"
    reached = [one for one in layer.lags if one.lag > 0 and 0 < one.jacobian < math.inf]
    first, last = reached[0], reached[-1]
    if 0.99 <= layer.rate <= 1.01:
        found = "the gradient keeps its size"
    elif layer.rate < 1:
        found = "the gradient vanishes" if last.jacobian < 1 else "it falls, but is not below 1 in this window"
    else:
        found = "the gradient explodes" if last.jacobian > 1 else "it grows, but is not above 1 in this window"
    return (
        f"dh(t)/dh(t-k) is {first.jacobian:.2e} at lag {first.lag} and {last.jacobian:.2e} at lag {last.lag}, a "
        f"factor of {layer.rate:.3f} a step: {found}"
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
