"""The initial state of a trained network: the mean state in which a text's line ends are read.

    h(0) = 1/N  sum over the N line ends of h(t),  t: the step that has predicted the line end

A text begins as if a line had just ended, with the line end as its first input. A network trained with ``state:
carry`` has read nearly all line ends in the state that a line has left, and hardly ever in 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.network.network import Network, Trace
from rnnlm.network.protocols import Array


class LineEndSums(NamedTuple):
    """Of one window's streams, the sums of the states in which line ends are read."""

    states: list[NDArray[np.float64]]  # B x S of each layer
    counts: NDArray[np.int64]  # B, the line ends


class LineEndStates:
    """The sum of the states in which line ends are read, while a text is scored.

    Args:
        line_end: the line end's token id.
    """

    def __init__(self, network: Network, line_end: int) -> None:
        self._network, self._line_end = network, line_end
        self._sums = [np.zeros(cell.state_size) for cell in network.cells]
        self._count = 0

    def sums(self, trace: Trace, targets: NDArray[np.int32], valid: NDArray[np.bool_]) -> LineEndSums:
        """Those of a window; targets, valid: T x B. A stream's sum is in the order of the steps, in float64."""
        ends = (targets == self._line_end) & valid
        sums = [np.zeros((targets.shape[1], cell.state_size)) for cell in self._network.cells]
        for t in np.flatnonzero(ends.any(axis=1)).tolist():
            for total, state in zip(sums, self._network.states_after(trace, t + 1), strict=False):  # not the tokens
                total[ends[t]] += state[ends[t]]
        return LineEndSums(sums, ends.sum(axis=0))

    def add(self, found: LineEndSums, streams: int | slice = slice(None)) -> None:
        """Add those of a window, of all its streams or of some."""
        for total, sums in zip(self._sums, found.states, strict=True):
            total += np.atleast_2d(sums[streams]).sum(axis=0)
        self._count += int(found.counts[streams].sum())

    def mean(self) -> list[Array] | None:
        """The initial state of each layer, S numbers of the network's type; None: the text has no line end."""
        if self._count == 0:
            return None
        return [(total / self._count).astype(self._network.dtype) for total in self._sums]
