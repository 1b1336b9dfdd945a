"""The update rules against the formulas in plain NumPy, for whole parameters and for rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnlm.config.base import sections
from rnnlm.config.training import Train
from rnnlm.network.parameters import Gradients
from rnnlm.training.optimizers.optimizer import RULES, Optimizer


def settings(**values: Any) -> Train:
    return Train.model_validate({"clip_norm": None, **values})


def optimizer_settings(rule: str) -> Train:
    """Every option of the rule other than its default."""
    wanted = {"weight_decay": 0.01, "momentum": 0.8, "beta2": 0.99}
    known = sections(Train, "optimizer").types[rule].model_fields
    return settings(optimizer={"type": rule} | {key: value for key, value in wanted.items() if key in known})


def slow_update(
    train: Train, w: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, k: int, rate: float
) -> None:
    """One update of one parameter, straight from the formulas; changes w, m and v."""
    s: Any = train.optimizer
    decay = s.weight_decay if w.ndim > 1 else 0.0
    if s.type in ("adamw", "lion"):
        w -= rate * decay * w
    else:
        g = g + decay * w
    if s.type == "sgd":
        w -= rate * g
    elif s.type == "momentum":
        m[:] = s.momentum * m + g
        w -= rate * m
    elif s.type == "adagrad":
        v += g * g
        w -= rate * g / (np.sqrt(v) + s.epsilon)
    elif s.type == "rmsprop":
        v[:] = s.beta2 * v + (1 - s.beta2) * g * g
        w -= rate * g / (np.sqrt(v) + s.epsilon)
    elif s.type == "nadam":
        m[:] = s.beta1 * m + (1 - s.beta1) * g
        v[:] = s.beta2 * v + (1 - s.beta2) * g * g
        ahead = s.beta1 * m / (1 - s.beta1 ** (k + 1)) + (1 - s.beta1) * g / (1 - s.beta1**k)
        w -= rate * ahead / (np.sqrt(v / (1 - s.beta2**k)) + s.epsilon)
    elif s.type == "lion":
        w -= rate * np.sign(s.beta1 * m + (1 - s.beta1) * g)
        m[:] = s.beta2 * m + (1 - s.beta2) * g
    else:
        m[:] = s.beta1 * m + (1 - s.beta1) * g
        v[:] = s.beta2 * v + (1 - s.beta2) * g * g
        w -= rate * (m / (1 - s.beta1**k)) / (np.sqrt(v / (1 - s.beta2**k)) + s.epsilon)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("workers", [1, 2])
def test_whole_parameters(rule: str, workers: int) -> None:
    generator = np.random.default_rng(1)
    s = optimizer_settings(rule)
    parameters = {"H": generator.normal(size=(7, 5)), "b1": generator.normal(size=37)}
    wanted = {name: value.copy() for name, value in parameters.items()}
    m, v = ({name: np.zeros_like(value) for name, value in parameters.items()} for _ in range(2))
    optimizer = Optimizer(s, parameters)
    for k in range(1, 5):
        gradients = {name: generator.normal(size=value.shape) for name, value in parameters.items()}
        optimizer.update(Gradients(dense=gradients), 0.1 / k, 0.5, workers)
        for name in wanted:
            slow_update(s, wanted[name], 0.5 * gradients[name], m[name], v[name], k, 0.1 / k)
    for name in wanted:
        np.testing.assert_allclose(parameters[name], wanted[name], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("workers", [1, 2])
def test_only_the_rows_that_were_used_change(rule: str, workers: int) -> None:
    generator = np.random.default_rng(2)
    s = optimizer_settings(rule)
    table = generator.normal(size=(9, 4))
    wanted, m, v = table.copy(), np.zeros_like(table), np.zeros_like(table)
    optimizer = Optimizer(s, {"embedding.table": table})
    for k, tokens in enumerate(([3, 0, 8], [3], [1, 8]), 1):
        rows = generator.normal(size=(len(tokens), 4))
        optimizer.update(Gradients(rows={"embedding.table": (np.array(tokens, np.int32), rows)}), 0.1, 1.0, workers)
        for token, row in zip(tokens, rows, strict=True):
            w, m_row, v_row = wanted[token : token + 1], m[token : token + 1], v[token : token + 1]
            slow_update(s, w, row[None, :], m_row, v_row, k, 0.1)
    np.testing.assert_allclose(table, wanted, rtol=1e-13, atol=1e-14)
    untouched = [2, 4, 5, 6, 7]
    assert (table[untouched] == wanted[untouched]).all()
