"""Gradients accumulated over several windows."""

from __future__ import annotations

import numpy as np
import pytest
from networks import Case, config

from rnnlm.network.network import Window
from rnnlm.training.accumulation import Accumulated


@pytest.mark.parametrize("tie", [False, True])
def test_accumulated_gradients_are_those_of_a_larger_batch(tie: bool) -> None:
    """Two halves of the streams, one after the other, against all streams at once."""
    keys = config(hidden=6, tie=tie)
    case = Case(keys, vocabulary=9, batch=6)
    whole = case.gradients(case.steps)
    accumulated = Accumulated(2)
    for half in (slice(0, 3), slice(3, 6)):
        inputs, targets, reset = (np.ascontiguousarray(a[:, half]) for a in (case.inputs, case.targets, case.reset))
        trace = case.network.forward(Window(inputs, reset, [state[half].copy() for state in case.states]))
        accumulated.add(case.network.backward(trace, targets, case.steps)[1])
    found = accumulated.mean()
    assert set(found.rows) == (set() if tie else {"embedding.table"})
    for name, (tokens, rows) in found.rows.items():
        assert tokens.tolist() == sorted(set(case.inputs.reshape(-1).tolist()))
        np.testing.assert_allclose(rows, whole[name][tokens], rtol=0, atol=1e-12)
    for name, value in found.dense.items():
        np.testing.assert_allclose(value, whole[name], rtol=0, atol=1e-12)
