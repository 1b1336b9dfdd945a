"""Numerical derivatives: central differences, with their error, and the size of a complex step."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Fourth-order central differences: the error is step^4 f^(5) / 30, the rounding about 1e-16 |f| / step.
STEP = 3e-4
# A complex step loses nothing to cancellation, so it may be as small as numbers go.
COMPLEX_STEP = 1e-40
EPSILON = float(np.finfo(float).eps)

_WEIGHTS = ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0))


class Central(NamedTuple):
    """A central difference."""

    value: float  # of fourth order
    spread: float  # how far the one of second order lies from it: the function changes too fast for the step


def central(function: Callable[[float], float], step: float = STEP) -> float:
    """df/dx at 0: (f(-2s) - 8 f(-s) + 8 f(s) - f(2s)) / 12 s."""
    return central_with_spread(function, step).value


def central_with_spread(function: Callable[[float], float], step: float = STEP) -> Central:
    """`central`, beside (f(s) - f(-s)) / 2 s from the same values."""
    f = {k: function(k * step) for k, _ in _WEIGHTS}
    value = sum(weight * f[k] for k, weight in _WEIGHTS) / (12 * step)
    return Central(value, abs(value - (f[1] - f[-1]) / (2 * step)))


def rounding(size: float, step: float = STEP) -> float:
    """How far rounding alone can move `central` of a function that is summed from numbers of this size."""
    return 16 * EPSILON * max(1.0, abs(size)) / step
