"""The targets' own logits, and what is added to the gradients of the targets' columns alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnlm.kernels.jit import jit
from rnnlm.network.outputs.softmax.weights import Block, Weights
from rnnlm.network.protocols import Array


def logits(rows: Block, weights: Weights) -> NDArray[np.float64]:
    """z2_x of each row (N), summed in float64."""
    own = (weights.U if weights.tied else weights.U.T)[rows.targets]
    return np.einsum("rk,rk->r", rows.h, own, dtype=np.float64) + weights.b2[rows.targets]


def add(rows: Block, weights: Weights, d_weights: Weights, dh: Array, factors: Array) -> None:
    """Adds to the gradients what comes of factors(t) y(t) in delta2(t); dh: N x D_h, factors: N."""
    (U, _, tied), (dU, db2, _) = weights, d_weights
    columns, d_columns = (U, dU) if tied else (U.T, dU.T)
    _add(rows.h, columns, rows.targets, factors.astype(dh.dtype), d_columns, db2, dh)


@jit
def _add(h, columns, targets, factors, d_columns, db2, dh):
    """To dJ/db2 (|V|), to dJ/dU by columns (|V| x D_h) and to dJ/dh (N x D_h). columns: U by columns, |V| x D_h."""
    for r in range(targets.size):
        x, factor = targets[r], factors[r]
        db2[x] += factor
        for k in range(h.shape[1]):
            dh[r, k] += factor * columns[x, k]
            d_columns[x, k] += factor * h[r, k]
