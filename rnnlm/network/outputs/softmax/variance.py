"""Variance regularization (Chen et al. 2015, equation 8): log Z is drawn to its own mean.

    J_gamma(t) = J(t) + gamma / 2 (log Z(t) - m)^2                     m: the mean of log Z over the window's rows
    dJ_gamma/dz2(t) = y^ - y + c y^ = (1 + c) (y^ - y) + c y           c(t) = gamma (log Z(t) - m)

since dlog Z/dz2 = y^, and what m depends on adds up to 0. So each row of the plain loss's gradient counts 1 + c
times, and c y is added to the targets' columns. exp(z2_x - m) alone is then near y^_x, without a sum over the
vocabulary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def added(log_normalizer: NDArray[np.float64], gamma: float) -> float:
    """What J_gamma(t) has beside the plain loss, summed over rows; log_normalizer: log Z of each, N."""
    return gamma / 2 * float(((log_normalizer - log_normalizer.mean()) ** 2).sum())


def factors(log_normalizer: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    """c of each row (N)."""
    return np.asarray(gamma * (log_normalizer - log_normalizer.mean()))
