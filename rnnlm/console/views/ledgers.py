"""Views of the ledgers of several models on one window, side by side."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from rnnlm.console.formats import counted, prose, table
from rnnlm.gradients.ledger.records import LayerLedger, Side

_LAGS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def ledgers_view(sides: tuple[Side, ...], width: int) -> Iterator[RenderableType]:
    """``rnnlm gradients --over`` and ``--beside``, on a screen of `width` columns."""
    first = sides[0].ledger
    yield from prose(
        f"{first.source}, tokens {first.start + 1:,} to {first.start + first.steps:,}: "
        f"{counted(first.steps, 'step')}, the last {len(first.surprisal)} with a loss",
        width,
    )
    columns = [("model", "left"), ("nats a token", "right"), ("bptt that keeps 99%", "right")]
    yield table(
        columns, [[side.name, f"{np.mean(side.ledger.surprisal):.3f}", str(side.ledger.advice)] for side in sides]
    )
    lags = [lag for lag in _LAGS if lag < first.steps - 1]
    lags += [first.steps - 1] if first.steps > 1 else []
    yield Text("share of the norms of dJ(t)/de(t-k), mean over the losses, by lag k", style="bold")
    yield _by_lag(
        lags, [(side.name, [float(np.nanmean(side.ledger.reach[:, lag])) for lag in lags]) for side in sides]
    )
    for name, state in _states(sides):
        rows = []
        for side in sides:
            norms = next((_norms(layer, state) for layer in side.ledger.layers if layer.name == name), None)
            if norms is not None:
                rows.append((side.name, [norms[lag] for lag in lags]))
        yield Text(f"{name}: norm of d{state}(t)/d{state}(t-k), mean over the losses, by lag k", style="bold")
        yield _by_lag(lags, rows)


def _states(sides: tuple[Side, ...]) -> list[tuple[str, str]]:
    """Layers with the parts of their state, of all models."""
    found = [
        (layer.name, state) for side in sides for layer in side.ledger.layers for state in ("h", *layer.jacobians)
    ]
    return sorted(dict.fromkeys(found), key=lambda one: one[1] != "h")


def _norms(layer: LayerLedger, state: str) -> list[float] | None:
    if state == "h":
        return [one.jacobian for one in layer.lags]
    return [one.jacobians[state] for one in layer.lags] if state in layer.jacobians else None


def _by_lag(lags: list[int], rows: list[tuple[str, list[float]]]) -> RenderableType:
    columns = [("model", "left"), *((str(lag), "right") for lag in lags)]
    return table(columns, [[name, *(f"{value:.1e}" for value in values)] for name, values in rows])
