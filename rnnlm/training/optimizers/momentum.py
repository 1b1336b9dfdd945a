"""Gradient descent with momentum (Polyak 1964).

mu = `momentum`.

m = mu m + (g + l w)
w -= a m
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnlm.kernels.jit import jit

MOMENTS: tuple[str, ...] = ("m",)
DECOUPLED_DECAY = False


class Momentum(NamedTuple):
    """The constants of an update; kernels know the rule by this class."""

    numbers: np.ndarray  # as of ``Numbers.array``


CONSTANTS = Momentum


@jit
def step(w, g, m, v, n):
    """One block of a parameter, all one-dimensional; n: ``numbers.Numbers``."""
    for j in range(w.size):
        m[j] = n.beta1 * m[j] + n.factor * g[j] + n.decay * w[j]
        w[j] -= n.rate * m[j]
