"""Noise on the gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rnnlm.config.schema import Train
from rnnlm.network.parameters import Gradients
from rnnlm.training import noise


def settings(**keys: Any) -> Train:
    return Train.model_validate(keys)


def test_gradient_noise() -> None:
    keys = settings(gradient_noise=0.3, seed=5)

    def noisy(updates: int, factor: float) -> np.ndarray:
        gradients = Gradients({"a": np.zeros((200, 300))}, {"b": (np.arange(3), np.zeros((3, 4)))})
        noise.add(keys, gradients, updates, factor)
        assert gradients.rows["b"][1].all()
        return gradients.dense["a"]

    first, later = noisy(0, 1.0), noisy(99, 1.0)
    assert (first == noisy(0, 1.0)).all()
    assert first.std() == pytest.approx(math.sqrt(0.3), rel=0.01)
    assert later.std() == pytest.approx(math.sqrt(0.3 / 100**0.55), rel=0.01)
    assert abs(np.corrcoef(first.reshape(-1), later.reshape(-1))[0, 1]) < 0.02
    # Clipping comes afterwards, and leaves the noise as large as it is said to be.
    np.testing.assert_allclose(noisy(0, 0.1) * 0.1, first, rtol=1e-12)


def test_no_noise_changes_nothing() -> None:
    gradients = Gradients({"a": np.ones(3)})
    noise.add(settings(), gradients, 0, 1.0)
    assert (gradients.dense["a"] == 1).all()
