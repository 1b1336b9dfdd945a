"""Initial matrices of output layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from rnnlm.network.protocols import Array


def uniform(shape: tuple[int, ...], D_h: int, dtype: DTypeLike, generator: np.random.Generator) -> Array:
    """A matrix uniform in +-1/sqrt(D_h), drawn row by row: a matrix of |V| rows has no second one, in float64, beside
    it."""
    bound, result = 1 / np.sqrt(D_h), np.empty(shape, dtype)
    for row in result:
        row[:] = generator.uniform(-bound, bound, row.size)
    return result
