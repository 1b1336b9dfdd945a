"""Numerical derivatives: central differences, and the size of a complex step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Fourth-order central differences: the error is step^4 f^(5) / 30, the rounding about 1e-16 |f| / step.
STEP = 3e-4
# A complex step loses nothing to cancellation, so it may be as small as numbers go.
COMPLEX_STEP = 1e-40

_WEIGHTS = ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0))


def central(function: Callable[[float], float], step: float = STEP) -> float:
    """df/dx at 0: (f(-2s) - 8 f(-s) + 8 f(s) - f(2s)) / 12 s."""
    return sum(weight * function(k * step) for k, weight in _WEIGHTS) / (12 * step)


def rounding(value: float, step: float = STEP) -> float:
    """How far rounding alone can move `central` of a function of this size."""
    return 16 * float(np.finfo(float).eps) * max(1.0, abs(value)) / step
