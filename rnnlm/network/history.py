"""The last n tokens of each stream, which some output layers read beside h(t): a part of the state.

The states of a network are those of its recurrent layers and, where the output layer asks for n tokens
(``OutputLayer.history``), behind them B x n token ids, the oldest first, as numbers of the states' own type; -1 is
where the text or the line had not begun.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlm.network.protocols import Array

NONE = -1


def initial(n: int, batch: int, dtype: DTypeLike) -> Array:
    """The tokens that a text begins with, B x n."""
    return np.full((batch, n), NONE, dtype)


def step(before: Array, tokens: NDArray[np.int32], reset: NDArray[np.bool_] | None = None) -> Array:
    """The tokens after a step (B x n) from those before it; where `reset` is set (B), there were none."""
    after = np.empty_like(before)
    after[:, :-1] = before[:, 1:]
    if reset is not None:
        after[reset] = NONE
    after[:, -1] = tokens
    return after


def rows(before: Array, inputs: NDArray[np.int32], reset: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The tokens after each step of a window (T x B x n) from its inputs and resets (T x B)."""
    seen = np.empty((*inputs.shape, before.shape[1]), np.int32)
    for t, tokens in enumerate(inputs):
        seen[t] = step(before if t == 0 else seen[t - 1], tokens, reset[t])
    return seen
