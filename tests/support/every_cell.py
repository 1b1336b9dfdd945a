"""Every recurrent layer with every option of its equations, for tests that all of them must pass."""

from __future__ import annotations

from typing import Any

import pytest

CELLS: dict[str, dict[str, Any]] = {
    "elman": {"cell": {"type": "elman", "activation": "tanh"}},
    "gru": {"cell": {"type": "gru"}},
    "gru_before": {"cell": {"type": "gru_before"}},
    "lstm": {"cell": {"type": "lstm"}},
    "lstm, peepholes": {"cell": {"type": "lstm", "peepholes": True}},
    "lstm, coupled": {"cell": {"type": "lstm", "coupled_gates": True}},
    "lstm, coupled, peepholes": {"cell": {"type": "lstm", "coupled_gates": True, "peepholes": True}},
    "mingru": {"cell": {"type": "mingru"}},
    "scrn": {"cell": {"type": "scrn", "context": 3, "context_decay": 0.8}},
}

every_cell = pytest.mark.parametrize("model", CELLS.values(), ids=CELLS.keys())
