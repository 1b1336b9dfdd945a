"""Variance regularization: what it adds to the loss, and that log Z comes to one value by it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from networks import Case, config
from scipy.special import logsumexp

from rnnlm.errors import ConfigError
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.outputs import Softmax
from rnnlm.network.protocols import Objective, Rows
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.start import start
from rnnlm.training.update import TrainingWindow, update

TRAINING, SCORING = Objective(1.0, draw=(1, 2)), Objective(1.0)


@pytest.mark.parametrize("vocabulary", [11, 600])
def test_half_gamma_times_the_squares_are_added_in_training_alone(vocabulary: int) -> None:
    generator = np.random.default_rng(0)
    h, U = generator.normal(size=(30, 6)), generator.normal(size=(6, vocabulary))
    rows = Rows(h, generator.integers(0, vocabulary, 30).astype(np.int32))
    parameters = {"U": U, "b2": generator.normal(size=vocabulary)}
    context = Context(Workspace(np.float64), 2)
    layer, plain = (Softmax(6, 6, vocabulary, False, gamma) for gamma in (0.6, 0.0))
    log_Z = logsumexp(h @ U + parameters["b2"], axis=1)
    np.testing.assert_allclose(layer.scores(parameters, rows, context).log_normalizer, log_Z, rtol=0, atol=1e-12)
    wanted = plain.loss(parameters, rows, TRAINING, context)
    assert layer.loss(parameters, rows, SCORING, context) == wanted
    added = 0.6 / 2 * ((log_Z - log_Z.mean()) ** 2).sum()
    assert layer.loss(parameters, rows, TRAINING, context) == pytest.approx(wanted + added, rel=1e-12)


def deviation_after_training(gamma: float) -> float:
    """Of log Z over the window that the network was trained with."""
    model = {"output": {"type": "softmax", "variance_regularization": gamma}}
    case = Case(config(model=model, learning_rate=0.5, optimizer="sgd"), 30, steps=20, batch=8)
    optimizer = Optimizer(case.network.config.train, case.network.named)
    window = case.forward().window
    for number in range(400):
        update(case.network, optimizer, [TrainingWindow(window, case.targets, 20, (1, number))], 1, 0.1)
    up, p = case.forward().up, case.network.output_parameters
    return float(logsumexp(up @ p["U"] + p["b2"], axis=2).std())


def test_log_Z_comes_to_one_value() -> None:
    assert deviation_after_training(2.0) < 0.5 * deviation_after_training(0.0)


def test_several_ranks_have_no_mean_of_log_Z() -> None:
    found = config(model={"output": {"type": "softmax", "variance_regularization": 0.5}})
    with pytest.raises(
        ConfigError, match="variance_regularization: the mean of log Z is one process's; train it wit"
    ):
        next(start(found, False, False, cast(Any, SimpleNamespace(size=2))))
