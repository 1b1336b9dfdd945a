"""U and b2, and their gradients, as the kernels of the output layers take them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.network.protocols import Array, Arrays


class Weights(NamedTuple):
    """What z2 = h U + b2 is made of; or the gradients of it."""

    U: Array  # D_h x |V|; where it is tied, U' instead: |V| x D_h, the embedding table
    b2: Array  # |V|
    tied: bool

    @property
    def D_h(self) -> int:
        """The size of what U multiplies."""
        return int(self.U.shape[1 if self.tied else 0])

    @property
    def V(self) -> int:
        """|V|."""
        return int(self.b2.size)


def weights_of(arrays: Arrays) -> Weights:
    """Among an output layer's parameters or gradients by name; a tied U is there as the embedding table ``E``."""
    tied = "E" in arrays
    return Weights(arrays["E" if tied else "U"], arrays["b2"], tied)


class Block(NamedTuple):
    """Rows that go through the output layer together: steps and streams below one another."""

    h: Array  # N x D_h
    targets: NDArray[np.int32]  # N

    def rows(self, start: int, stop: int) -> Block:
        """Some of them."""
        return Block(self.h[start:stop], self.targets[start:stop])
