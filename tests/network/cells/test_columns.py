"""The recurrence shared out by columns of h, as it is for large H, gives the same bits as shared out by streams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from every_cell import every_cell
from layouts import needs_pairs, needs_tiles, take_way
from networks import Case, config

from rnnlm.kernels import cpu
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.cells import recurrence

# A precision, and a way to multiply where that is bfloat16.
PRECISIONS = [
    ("float64", ""),
    ("float32", ""),
    *(
        pytest.param(("bfloat16", way), marks=marks)
        for way, marks in (("avx512_bf16", needs_pairs), ("amx", needs_tiles))
    ),
    pytest.param(("bfloat16x3", ""), marks=needs_tiles),
]


def everything(settings: Any, batch: int) -> tuple[float, dict[str, np.ndarray]]:
    case = Case(settings, vocabulary=20, steps=9, batch=batch, resets=batch != 5)
    return case.loss(9, mask=(1, 2)), case.gradients(9, mask=(1, 2))


@every_cell
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("hidden", [64, 70, 131])
@pytest.mark.parametrize("batch", [1, 5, 26])
def test_columns_and_streams(
    model: dict[str, Any], precision: tuple[str, str], hidden: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_way(monkeypatch, precision[1])
    settings = config(d=33, hidden=hidden, layers=2, precision=precision[0], threads=2, model=model)
    if hidden % 2 and model["cell"]["type"] not in ("elman", "scrn"):
        assert not recurrence.by_columns(np.empty((1001, 3003), np.float32), batch, Context(Workspace(np.float32), 2))
        return
    chosen = []

    def by(columns: bool) -> None:
        monkeypatch.setattr(recurrence, "by_columns", lambda *_: chosen.append(columns) or columns)

    by(False)
    loss, gradients = everything(settings, batch)
    by(True)
    other_loss, other = everything(settings, batch)
    assert True in chosen or model["cell"]["type"] == "mingru"
    assert other_loss == loss
    for name, wanted in gradients.items():
        assert (other[name] == wanted).all(), name


def test_who_has_columns() -> None:
    """Threads with fewer streams than one each; with few, of an H that is larger than a core's second cache."""
    small, large = (np.broadcast_to(np.float32(0), (n, n)) for n in (256, 4096))
    context = Context(Workspace(np.float32), 2)
    for batch, columns in ((1, (True, True)), (23, (False, True)), (24, (False, False))):
        assert tuple(recurrence.by_columns(H, batch, context) for H in (small, large)) == columns
    n = int((1.5 * cpu.RECURRENT_BYTES / 4) ** 0.5) // 2 * 2
    H = np.broadcast_to(np.float32(0), (n, n))
    assert recurrence.by_columns(H, 8, Context(Workspace(np.float32), 2))
    assert not recurrence.by_columns(H, 8, Context(Workspace(np.float32), 1))
