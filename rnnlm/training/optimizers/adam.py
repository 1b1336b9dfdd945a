"""Adam (Kingma & Ba 2015, algorithm 1).

b1 = `beta1`, b2 = `beta2`; k: the update's number, from 1.

    m = b1 m + (1 - b1) g          with l w added to g
    v = b2 v + (1 - b2) g o g
    w -= a (m / (1 - b1^k)) / (sqrt(v / (1 - b2^k)) + eps)

``adamw`` is the same step with the decay beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnlm.kernels.jit import jit

MOMENTS: tuple[str, ...] = ("m", "v")
DECOUPLED_DECAY = False


class Adam(NamedTuple):
    """The constants of an update; kernels know the rule by this class."""

    numbers: np.ndarray  # as of ``Numbers.array``


CONSTANTS = Adam


@jit
def step(w, g, m, v, n):
    """One block of a parameter, all one-dimensional; n: ``numbers.Numbers``."""
    for j in range(w.size):
        own = n.factor * g[j] + n.decay * w[j]
        m[j] = n.beta1 * m[j] + n.one_minus_beta1 * own
        v[j] = n.beta2 * v[j] + n.one_minus_beta2 * own * own
        change = m[j] * n.unbias_m / (np.sqrt(v[j] * n.unbias_v) + n.epsilon)
        w[j] -= n.rate * (change + n.decoupled_decay * w[j])
