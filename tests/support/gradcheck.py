"""Central differences, for the gradient of every number of every parameter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# Fourth order: the error is h^4 f^(5) / 30, so that in float64 with h = 3e-4 rounding (1e-16 / h) and truncation
# are both far below 1e-7.
_STEP = 3e-4


def numeric(f: Callable[[], float], x: NDArray[np.float64], step: float = _STEP) -> NDArray[np.float64]:
    """df/dx for every number of `x`, which is changed in place and put back."""
    result = np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        old = x[i]
        values = []
        for k in (-2, -1, 1, 2):
            x[i] = old + k * step
            values.append(f())
        x[i] = old
        result[i] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    return result


def relative_error(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """The largest difference over the largest number of either array."""
    scale = max(np.abs(found).max(), np.abs(wanted).max())
    return float(np.abs(found - wanted).max() / scale) if scale > 0 else 0.0
