"""The slow units of the structurally constrained network, in numbers small enough to follow by hand."""

from __future__ import annotations

import numpy as np
import pytest
from networks import config

from rnnlm.network import build
from rnnlm.network.network import Network, Window
from rnnlm.network.parameters import unflatten

# One fast and one slow unit; e(t) I_s is 4 for token 0 and 8 for token 1; h(t) = sigmoid(s(t) log(3) / 3).
WEIGHTS = {
    "embedding.table": [[1.0], [2.0]],
    "cell.0.I": [[0.0, 4.0]],
    "cell.0.H": [[0.0], [np.log(3) / 3]],
    "cell.0.b1": [0.0],
    "output.U": [[0.0, 0.0], [0.0, 1.0]],
    "output.b2": [0.0, 0.0],
}


def made() -> Network:
    model = {"cell": {"type": "scrn", "context": 1, "context_decay": 0.5}}
    weights = {name: np.array(value) for name, value in WEIGHTS.items()}
    return build.build(config(d=1, hidden=2, model=model), unflatten(weights))


def test_slow_units_blend_and_fast_ones_read_them_at_once() -> None:
    network = made()
    inputs, reset = np.array([[0], [1], [0]], np.int32), np.array([[False], [False], [True]])
    trace = network.forward(Window(inputs, reset, [np.array([[0.7, 2.0]])]))
    h = trace.up[:, 0]
    # 4 / 2 + 2 / 2, then 8 / 2 + 3 / 2, then, after the reset, 4 / 2
    assert h[:, 1].tolist() == [3, 5.5, 2]
    assert h[:, 0].tolist() == pytest.approx([3 / 4, 1 / (1 + 3 ** (-5.5 / 3)), 1 / (1 + 3 ** (-2 / 3))], rel=1e-14)
    assert network.states_after(trace, 2)[0].tolist() == h[1:2].tolist()


def test_what_goes_back_shrinks_by_a_each_step() -> None:
    """The loss of the third step, whose logits are 0 and s, reaches s before the window by a^3, and e(t) by (1 - a)
    a^k; a reset cuts it off."""
    network = made()
    inputs, targets = np.array([[0], [1], [0]], np.int32), np.array([[0], [0], [1]], np.int32)
    for reset, reached in (([0, 0, 0], [1, 1, 1, 1]), ([0, 1, 0], [0, 0, 1, 1])):
        trace = network.forward(Window(inputs, np.array(reset, np.bool_)[:, None], [np.array([[0.7, 2.0]])]))
        ds = 1 / (1 + np.exp(-trace.up[2, 0, 1])) - 1
        _, gradients = network.backward(trace, targets, 1)
        before, first, second, third = (
            ds * share * there for share, there in zip((1 / 8, 1 / 8, 1 / 4, 1 / 2), reached, strict=True)
        )
        np.testing.assert_allclose(gradients.states[0], [[0, before]], rtol=1e-14)
        np.testing.assert_allclose(gradients.dense["cell.0.I"], [[0, first + 2 * second + third]], rtol=1e-14)
