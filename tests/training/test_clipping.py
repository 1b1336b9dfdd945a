"""Clipping by norm and by value."""

from __future__ import annotations

import numpy as np
import pytest

from rnnlm.network.parameters import Gradients
from rnnlm.training.clipping import clip


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_clipping_by_norm_counts_all_parameters_together(workers: int) -> None:
    generator = np.random.default_rng(3)
    dense, rows = generator.normal(size=(6, 7)), generator.normal(size=(3, 4))
    gradients = Gradients({"H": dense}, {"embedding.table": (np.arange(3, dtype=np.int32), rows)})
    norm, factor = clip(gradients, 1.5, None, workers)
    wanted = np.sqrt((dense**2).sum() + (rows**2).sum())
    assert norm == pytest.approx(wanted, rel=1e-14)
    assert factor == pytest.approx(1.5 / wanted, rel=1e-14)
    assert clip(gradients, 1e6, None, workers)[1] == 1.0
    assert clip(gradients, None, None, workers)[1] == 1.0


def test_clipping_by_value_comes_first() -> None:
    gradient = np.array([-3.0, -0.5, 0.0, 0.5, 3.0], np.float32)
    norm, _ = clip(Gradients({"b1": gradient}), 5.0, 1.0, 1)
    assert gradient.tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert norm == pytest.approx(np.sqrt(2.5))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_shows_in_the_norm(bad: float) -> None:
    gradient = np.ones(100, np.float32)
    gradient[77] = bad
    norm, _ = clip(Gradients({"b1": gradient}), 1.0, None, 2)
    assert not np.isfinite(norm)
