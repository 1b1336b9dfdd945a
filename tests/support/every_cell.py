"""Every recurrent layer with every option of its equations, for tests that all of them must pass."""

from __future__ import annotations

from typing import Any

import pytest

CELLS: dict[str, dict[str, Any]] = {
    "elman": {"cell": "elman", "activation": "tanh"},
    "gru": {"cell": "gru"},
    "gru_before": {"cell": "gru_before"},
    "lstm": {"cell": "lstm"},
    "lstm, peepholes": {"cell": "lstm", "peepholes": True},
    "lstm, coupled": {"cell": "lstm", "coupled": True},
    "lstm, coupled, peepholes": {"cell": "lstm", "coupled": True, "peepholes": True},
    "mingru": {"cell": "mingru"},
    "scrn": {"cell": "scrn", "context": 3, "context_decay": 0.8},
}

every_cell = pytest.mark.parametrize("model", CELLS.values(), ids=CELLS.keys())
