"""Nadam (Dozat 2016): Adam that looks ahead. As ``adam``, with

b1 m / (1 - b1^(k+1)) + (1 - b1) g / (1 - b1^k)      for m / (1 - b1^k)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnlm.kernels.jit import jit

MOMENTS: tuple[str, ...] = ("m", "v")
DECOUPLED_DECAY = False


class Nadam(NamedTuple):
    """The constants of an update; kernels know the rule by this class."""

    numbers: np.ndarray  # as of ``Numbers.array``


CONSTANTS = Nadam


@jit
def step(w, g, m, v, n):
    """One block of a parameter, all one-dimensional; n: ``numbers.Numbers``."""
    for j in range(w.size):
        own = n.factor * g[j] + n.decay * w[j]
        m[j] = n.beta1 * m[j] + n.one_minus_beta1 * own
        v[j] = n.beta2 * v[j] + n.one_minus_beta2 * own * own
        ahead = n.beta1 * n.unbias_next * m[j] + n.one_minus_beta1 * n.unbias_m * own
        w[j] -= n.rate * ahead / (np.sqrt(v[j] * n.unbias_v) + n.epsilon)
