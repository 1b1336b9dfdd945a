"""The sum of all ranks' gradients.

Each rank's gradient is a sum over its streams, divided by the streams of the whole batch, so the sum over ranks is
the gradient of the batch.

A dense gradient is added up (Allreduce) from when its layer's backward pass has ended, while the layers below are
still at theirs. Of the embedding, every rank gets the rows of all (Allgather), and adds them up by token in the order
of the ranks. So all ranks hold the same sum.

With ``train.distributed.gradients: bfloat16`` numbers travel as bfloat16, in half the bytes: each rank receives its
part of the gradient from all, adds it up in float32, and sends the sum to all. A number is rounded twice, and is the
same everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnlm.kernels.elementwise.bfloat16 import as_float32, rounded, sum_of
from rnnlm.network.parameters import Gradients
from rnnlm.network.protocols import Array, Arrays
from rnnlm.ranks.ranks import Ranks
from rnnlm.training.accumulation import sum_of_rows

_SMALL = 1 << 14  # numbers; arrays below it travel together


class GradientSum:
    """Adds up gradients over the ranks. half: they travel as bfloat16."""

    def __init__(self, ranks: Ranks, half: bool) -> None:
        self._ranks, self._half = ranks, half
        self._begun: dict[int, tuple[Array, Any, Array | None]] = {}  # by the array's identity

    def begin(self, layer: str, gradients: Arrays) -> None:
        """``Network.backward``'s `complete`: the large ones set off."""
        for array in gradients.values():
            if array.size >= _SMALL:
                self._begin(array)

    def finish(self, gradients: Gradients, loss: float) -> float:
        """The gradients become the sum over the ranks: the dense ones in place.

        Returns:
            the sum of all ranks' losses, in the gradients' precision: finite at every rank or at none.
        """
        small = [array for array in gradients.dense.values() if array.size < _SMALL]
        kind = next((array.dtype for _, array in gradients.arrays()), np.dtype(np.float64))
        together = np.concatenate([array.reshape(-1) for array in small] + [np.array([loss], kind)])
        for array in gradients.dense.values():
            if array.size >= _SMALL and id(array) not in self._begun:
                self._begin(array)
        self._begin(together)
        gradients.rows = {name: self._rows(*found) for name, found in gradients.rows.items()}
        begun, self._begun = list(self._begun.values()), {}
        self._ranks.wait([request for _, request, _ in begun])
        if self._half:
            self._finish_half([(array, received) for array, _, received in begun if received is not None])
        start = 0
        for array in small:
            array.reshape(-1)[:] = together[start : start + array.size]
            start += array.size
        return float(together[-1])

    def _begin(self, array: Array) -> None:
        if not self._half:
            self._begun[id(array)] = (array, self._ranks.begin_sum(array), None)
            return
        part = -(-array.size // self._ranks.size)
        sent = np.zeros((self._ranks.size, part), np.uint16)
        rounded(array.reshape(-1), sent.reshape(-1))
        received = np.empty_like(sent)
        self._begun[id(array)] = (array, self._ranks.begin_exchange(sent, received), received)

    def _finish_half(self, begun: list[tuple[Array, Array]]) -> None:
        """Add up this rank's part of each array, and send it to all."""
        requests, sums = [], []
        for _, received in begun:
            own = np.empty(received.shape[1], np.uint16)
            sum_of(received, own)
            whole = np.empty_like(received)
            requests.append(self._ranks.begin_gather(own, whole))
            sums.append(whole)
        self._ranks.wait(requests)
        for (array, _), whole in zip(begun, sums, strict=True):
            as_float32(whole.reshape(-1), array.reshape(-1))

    def _rows(self, tokens: Array, values: Array) -> tuple[Array, Array]:
        """The sum of gradients that come by rows. tokens: n, values: n x d."""
        if not self._half:
            return sum_of_rows([*zip(self._ranks.rows(tokens), self._ranks.rows(values), strict=True)])
        sent = np.empty(values.shape, np.uint16)
        rounded(np.ascontiguousarray(values).reshape(-1), sent.reshape(-1))
        parts = []
        for own, found in zip(self._ranks.rows(tokens), self._ranks.rows(sent), strict=True):
            theirs = np.empty(found.shape, values.dtype)
            as_float32(np.ascontiguousarray(found).reshape(-1), theirs.reshape(-1))
            parts.append((own, theirs))
        return sum_of_rows(parts)
