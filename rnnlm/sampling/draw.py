"""A draw from a discrete distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draw_token(p: NDArray[np.float64], generator: np.random.Generator) -> int:
    """One token id by its probability in p (|V|, not normalised): the inverse of the cumulative distribution
    at a uniform random number."""
    cumulative = np.cumsum(p)
    return int(min(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"), len(p) - 1))
