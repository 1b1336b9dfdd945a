"""Starts of the recurrent layers' weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from every_cell import every_cell
from networks import config

from rnnlm.network import build
from rnnlm.network.parameters import flatten


def started(model: dict[str, Any], hidden: int = 40, d: int = 30) -> dict[str, np.ndarray]:
    settings = config(d=d, hidden=hidden, model=model)
    return flatten(build.init(settings, 9, np.zeros((9, d))))


def blocks(weights: np.ndarray, hidden: int) -> list[np.ndarray]:
    return np.split(weights, max(1, weights.shape[1] // hidden), axis=1)


@every_cell
@pytest.mark.parametrize("init", ["uniform", "xavier", "orthogonal", "identity"])
def test_every_start_of_every_cell(model: dict[str, Any], init: str) -> None:
    found = started(model | {"recurrent_init": {"type": init} | ({"scale": 0.03} if init == "uniform" else {})})
    I, H = found["cell.0.I"], found.get("cell.0.H")
    for name, weights in (("I", I), ("H", H)):
        for block in blocks(weights, 40) if weights is not None else []:
            n, m = block.shape
            if init == "uniform":
                bound = 0.03
            elif init == "xavier" or name == "I":
                bound = np.sqrt(6 / (n + m))
            elif init == "identity":
                assert (block == np.eye(n, m)).all()
                continue
            else:
                np.testing.assert_allclose(block.T @ block, np.eye(m), atol=1e-12)
                continue
            assert 0.97 * bound < np.abs(block).max() <= bound
            assert abs(block.mean()) < 0.05 * bound
            assert block.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)
    if H is not None and init == "orthogonal" and H.shape[1] > 40:
        first, second, *_ = blocks(H, 40)
        assert (first != second).any()


@pytest.mark.parametrize("cell", ["elman", "scrn"])
def test_a_sigmoid_network_that_is_told_how_to_start_has_no_biases(cell: str) -> None:
    own = {"cell": {"type": cell} | ({"context": 4} if cell == "scrn" else {"activation": "sigmoid"})}
    assert started(own)["cell.0.b1"].any()
    assert not started(own | {"recurrent_init": "uniform"})["cell.0.b1"].any()


def test_the_forget_gates_bias_stays() -> None:
    found = started({"cell": {"type": "lstm", "forget_bias": 2.5}, "recurrent_init": "xavier"})["cell.0.b1"]
    assert (found == np.repeat([0, 2.5, 0, 0], 40)).all()
