"""The noise of sampled training: smoothed unigrams, drawn once for each window."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# What `default_rng` gets beside the seed and the window, here alone.
_PLACE = 6


class Noise(NamedTuple):
    """The tokens that were drawn for a window, all its rows share them."""

    tokens: NDArray[np.int32]  # n, each once, rising
    times: NDArray[np.int64]  # n, how often each was drawn; K in all


def distribution(counts: NDArray[np.int64], power: float) -> NDArray[np.float64]:
    """q_j = c_j^power / sum_i c_i^power (Mikolov et al. 2013, section 2.2: 3/4), |V|. A token that the training text
    does not have counts once, so that each can be drawn."""
    smoothed = np.maximum(counts, 1).astype(np.float64) ** power
    return np.asarray(smoothed / smoothed.sum())


def draw(cumulated: NDArray[np.float64], samples: int, seed: int, window: int) -> Noise:
    """`samples` (K) tokens, with replacement; the same ones for the same seed and window.

    Args:
        cumulated: the sums of q up to each token, |V|.
    """
    uniforms = np.random.default_rng([seed, _PLACE, window]).random(samples)
    drawn = np.searchsorted(cumulated, uniforms * cumulated[-1], side="right")
    tokens, times = np.unique(np.minimum(drawn, len(cumulated) - 1), return_counts=True)
    return Noise(tokens.astype(np.int32), times.astype(np.int64))
