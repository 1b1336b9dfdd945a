"""Sums that do not depend on the order, against fractions, which are exact."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from rnnlm.evaluation import exact_sum
from rnnlm.evaluation.exact_sum import ExactSum


def total(*parts: np.ndarray) -> float:
    found = ExactSum()
    for part in parts:
        found.add(part)
    return float(found)


@pytest.mark.parametrize("at_once", [1 << 20, 7])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e3, 1e7])
def test_sums_are_those_of_fractions_in_any_order_and_parts(
    scale: float, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact_sum, "_AT_ONCE", at_once)
    generator = np.random.default_rng(2)
    numbers = generator.normal(0, scale, 3000)
    exact = sum(map(Fraction, numbers.tolist()))
    found = total(numbers)
    assert abs(Fraction(found) - exact) <= abs(exact) * Fraction(2) ** -53 + len(numbers) * Fraction(2) ** -53
    for _ in range(5):
        cuts = np.sort(generator.integers(0, len(numbers), 10))
        assert total(*np.split(generator.permutation(numbers), cuts)) == found


def test_no_numbers_are_0() -> None:
    assert total() == total(np.empty(0)) == 0


@pytest.mark.parametrize("large", [-(2.0**26), 1e30, math.inf, -math.inf])
def test_large_numbers_are_added_too(large: float) -> None:
    assert total(np.array([0.5, large]), np.array([0.25])) == large + 0.75


def test_a_sum_with_nan_is_nan() -> None:
    assert math.isnan(total(np.array([1.0, math.nan])))
