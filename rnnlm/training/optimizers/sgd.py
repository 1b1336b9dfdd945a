"""Stochastic gradient descent.

w -= a (g + l w)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnlm.kernels.jit import jit

MOMENTS: tuple[str, ...] = ()
DECOUPLED_DECAY = False


class Sgd(NamedTuple):
    """The constants of an update; kernels know the rule by this class."""

    numbers: np.ndarray  # as of ``Numbers.array``


CONSTANTS = Sgd


@jit
def step(w, g, m, v, n):
    """One block of a parameter, all one-dimensional; n: ``numbers.Numbers``."""
    for j in range(w.size):
        w[j] -= n.rate * (n.factor * g[j] + n.decay * w[j])
