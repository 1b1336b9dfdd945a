"""Random numbers computed from their place: splitmix64 (Steele, Lea & Flood 2014).

The paper is "Fast splittable pseudorandom number generators".

The i-th number of the sequence that begins at `seed` is ``splitmix64(seed + i * GAMMA)``, in arithmetic modulo 2^64.
So there is no state to keep, and no order in which the numbers have to be drawn.
"""

from __future__ import annotations

import numpy as np

from rnnlm.kernels.jit import jit

# 2^64 divided by the golden ratio, an odd number.
GAMMA = np.uint64(0x9E3779B97F4A7C15)


@jit
def splitmix64(state):
    """64 random bits (uint64) from a state (uint64)."""
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
