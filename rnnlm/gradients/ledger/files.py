"""Files of a ledger: plain data, a table (TSV), a page with pictures (HTML)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.files import atomic as storage
from rnnlm.gradients import pages
from rnnlm.gradients.ledger.records import Carried, LayerLedger, Ledger, Side

_PAGE = Path(__file__).with_name("page.html")


def as_json(found: Ledger) -> dict[str, Any]:
    """Everything as plain data; arrays are lists of rows with null where the window had not begun."""
    return {
        "source": found.source,
        "cell": found.cell,
        "activation": found.activation,
        "hidden": found.hidden,
        "bptt": found.bptt,
        "precision": found.precision,
        "start": found.start,
        "steps": found.steps,
        "losses": len(found.surprisal),
        "inputs": list(found.inputs),
        "targets": list(found.targets),
        "surprisal_nats": list(found.surprisal),
        "advice": found.advice,
        "kept": [{"bptt": k.lags, "ratio": k.ratio, "cosine": k.cosine, "lost": k.lost} for k in found.kept],
        "reach": _rows(found.reach),
        "layers": [_layer(layer) for layer in found.layers],
        "seconds": found.seconds,
    }


def several_as_json(sides: tuple[Side, ...]) -> dict[str, Any]:
    """The ledgers of several models, as `as_json` has them, each with its model's name."""
    return {"models": [{"model": side.name, **as_json(side.ledger)} for side in sides]}


def columns(found: Ledger) -> tuple[str, ...]:
    """The table's columns; what the other cells have beside an Elman network's stands behind it."""
    first = found.layers[0]
    return (
        "position", "target", "surprisal_nats", "layer", "lag", "input",
        *(f"{figure}_{name}" for name in first.parameters for figure in ("norm", "share", "cosine")), "jacobian_norm",
        *(f"{figure}_{name}" for name in first.gates for figure in ("norm", "share", "cosine")),
        *(f"jacobian_norm_{name}" for name in first.jacobians),
        *((f"product_{first.carried.gate}", f"mean_product_{first.carried.gate}") if first.carried else ()),
    )  # fmt: skip


def write_tsv(found: Ledger, path: Path) -> None:
    """One line for each loss, layer and lag; `position` is the target's place in the text, from 1."""
    with storage.atomic_write(path) as file:
        file.write(("\t".join(columns(found)) + "\n").encode())
        for layer in found.layers:
            arrays = _table(layer)
            for i, surprisal in enumerate(found.surprisal):
                t = found.first_loss + i
                for lag in range(t + 1):
                    cells = [
                        str(found.start + t + 1), found.targets[t], f"{surprisal:.6f}", layer.name, str(lag),
                        found.inputs[t - lag], *(f"{array[i, lag]:.6g}" for array in arrays),
                    ]  # fmt: skip
                    file.write(("\t".join(cells) + "\n").encode())


def _table(layer: LayerLedger) -> list[NDArray[np.float64]]:
    """The arrays of the table's figures, in the order of `columns`."""

    def of(names: tuple[str, ...]) -> list[NDArray[np.float64]]:
        return [array[name] for name in names for array in (layer.norm, layer.share, layer.cosine)]

    carried = [] if layer.carried is None else [layer.carried.largest, layer.carried.mean]
    return [*of(layer.parameters), layer.jacobian, *of(layer.gates), *layer.jacobians.values(), *carried]


def write_html(found: Ledger, path: Path) -> None:
    """A page of its own, as of ``gradients.pages``."""
    pages.write(_PAGE, as_json(found), path)


def _layer(layer: LayerLedger) -> dict[str, Any]:
    return {
        "name": layer.name,
        "norm": {name: _rows(value) for name, value in layer.norm.items()},
        "share": {name: _rows(value) for name, value in layer.share.items()},
        "cosine": {name: _rows(value) for name, value in layer.cosine.items()},
        "jacobian": _rows(layer.jacobian),
        "gates": list(layer.gates),
        "jacobians": {name: _rows(value) for name, value in layer.jacobians.items()},
        "carried": None if layer.carried is None else _carried(layer.carried),
        "whole": layer.whole,
        "agreement": layer.agreement,
        "lags": [
            {
                "lag": one.lag, "norm": one.norm, "share": one.share, "cosine": one.cosine,
                "jacobian": one.jacobian, "largest_jacobian": one.largest_jacobian,
                "jacobians": one.jacobians, "carried": one.carried, "carried_mean": one.carried_mean,
            }
            for one in layer.lags
        ],
        "rate": layer.rate,
        "rates": layer.rates,
    }  # fmt: skip


def _carried(found: Carried) -> dict[str, Any]:
    return {
        "gate": found.gate,
        "state": found.state,
        "largest": _rows(found.largest),
        "mean": _rows(found.mean),
    }


def _rows(array: NDArray[np.float64]) -> list[list[float | None]]:
    """Rounded to six digits, which is more than any picture shows."""
    return [[float(f"{x:.6g}") if np.isfinite(x) else None for x in row] for row in array.tolist()]
