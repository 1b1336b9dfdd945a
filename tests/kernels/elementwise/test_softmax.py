"""The largest logit of a row, and exp and its sum: against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from rnnlm.kernels.elementwise import softmax


@pytest.mark.parametrize("size", [1, 2, 63, 64, 127, 128, 129, 192, 193, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_largest(size: int, dtype: type) -> None:
    generator = np.random.default_rng(size)
    for _ in range(20):
        row = generator.normal(-5, 1, size).astype(dtype)
        assert softmax.largest(row) == row.max()


def test_a_nan_shows_in_the_sum_of_exponentials() -> None:
    for place in (0, 1, 500, 999):
        row = np.zeros(1000, np.float32)
        row[place] = np.nan
        shift = softmax.largest(row)
        assert np.isnan(softmax.exp_sum(row, shift))


def test_exp_sum() -> None:
    row = np.random.default_rng(1).normal(size=777)
    wanted = np.exp(row - 2)
    total = softmax.exp_sum(row, 2.0)
    np.testing.assert_allclose(row, wanted, rtol=1e-14)
    assert total == pytest.approx(wanted.sum(), rel=1e-13)
