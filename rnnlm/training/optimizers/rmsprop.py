"""RMSprop (Tieleman & Hinton 2012).

b2 = `beta2`.

v = b2 v + (1 - b2) g o g      with l w added to g
w -= a g / (sqrt(v) + eps)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnlm.kernels.jit import jit

MOMENTS: tuple[str, ...] = ("v",)
DECOUPLED_DECAY = False


class RMSprop(NamedTuple):
    """The constants of an update; kernels know the rule by this class."""

    numbers: np.ndarray  # as of ``Numbers.array``


CONSTANTS = RMSprop


@jit
def step(w, g, m, v, n):
    """One block of a parameter, all one-dimensional; n: ``numbers.Numbers``."""
    for j in range(w.size):
        own = n.factor * g[j] + n.decay * w[j]
        v[j] = n.beta2 * v[j] + n.one_minus_beta2 * own * own
        w[j] -= n.rate * own / (np.sqrt(v[j]) + n.epsilon)
