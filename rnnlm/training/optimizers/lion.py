"""Lion (Chen et al. 2023).

b1 = `beta1`, b2 = `beta2`.

w -= a (sign(b1 m + (1 - b1) g) + l w)
m = b2 m + (1 - b2) g
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnlm.kernels.jit import jit

MOMENTS: tuple[str, ...] = ("m",)
DECOUPLED_DECAY = True


class Lion(NamedTuple):
    """The constants of an update; kernels know the rule by this class."""

    numbers: np.ndarray  # as of ``Numbers.array``


CONSTANTS = Lion


@jit
def step(w, g, m, v, n):
    """One block of a parameter, all one-dimensional; n: ``numbers.Numbers``."""
    for j in range(w.size):
        own = n.factor * g[j]
        w[j] -= n.rate * (np.sign(n.beta1 * m[j] + n.one_minus_beta1 * own) + n.decoupled_decay * w[j])
        m[j] = n.beta2 * m[j] + n.one_minus_beta2 * own
