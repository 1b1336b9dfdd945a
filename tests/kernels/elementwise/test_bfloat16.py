"""bfloat16 in arrays of uint16, against rounding written with NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from rnnlm.kernels.elementwise.bfloat16 import as_float32, rounded, sum_of


def nearest(x: np.ndarray) -> np.ndarray:
    """The nearest of the two numbers whose lower 16 bits are 0, the one with an even last bit of two as near."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    below = bits & np.uint32(0xFFFF0000)
    above = below + np.uint32(0x10000)
    low, high = (b.view(np.float32).astype(np.float64) for b in (below, above))
    x64 = np.asarray(x, np.float32).astype(np.float64)
    up = np.abs(high - x64) < np.abs(x64 - low)
    tie = np.abs(high - x64) == np.abs(x64 - low)
    up |= tie & ((below >> np.uint32(16)) % 2 == 1)
    return np.where(up, high, low).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_rounded_to_the_nearest(dtype: str) -> None:
    generator = np.random.default_rng(1)
    x = (generator.normal(size=5000) * 10.0 ** generator.integers(-20, 20, 5000)).astype(dtype)
    x[:4] = [0.0, -0.0, 1 + 2**-8, 1 + 3 * 2**-8]  # the last two lie in the middle
    halves = np.empty(5000, np.uint16)
    rounded(x, halves)
    back = np.empty(5000, np.float32)
    as_float32(halves, back)
    np.testing.assert_array_equal(back, nearest(x))
    assert (np.abs(back - x) <= 2.0**-8 * np.abs(x)).all()
    rounded(np.array([np.nan, np.inf, -np.inf], dtype), halves)
    as_float32(halves[:3], back[:3])
    assert np.isnan(back[0])
    assert back[1:3].tolist() == [np.inf, -np.inf]


def test_rows_are_added_in_float32_and_the_sum_is_rounded() -> None:
    x = np.random.default_rng(2).normal(size=(5, 300)).astype(np.float32)
    halves = np.empty(x.shape, np.uint16)
    rounded(x.reshape(-1), halves.reshape(-1))
    total = np.empty(300, np.uint16)
    sum_of(halves, total)
    found = np.empty(300, np.float32)
    as_float32(total, found)
    wanted = np.zeros(300, np.float32)
    for row in nearest(x):
        wanted += row
    np.testing.assert_array_equal(found, nearest(wanted))
