"""Label smoothing (Szegedy et al. 2016): a part epsilon of the target, spread over the vocabulary.

    J_epsilon(t) = - (1 - epsilon) log y^_x - epsilon / |V| sum_j log y^_j
    dJ_epsilon/dz2(t) = y^ - (1 - epsilon) y - epsilon / |V|

which is the plain loss's gradient and, beside it, epsilon y - epsilon / |V|: one column of U for each row and
the same for all columns. So what ``Softmax.backward`` has left is added to here, and no probability is
computed again: sum_j log y^_j = h sum_j U_j + sum_j b2_j - |V| log Z, with log Z = z2_x - log y^_x.
"""

from __future__ import annotations

import numpy as np

from rnnlm.kernels.jit import jit
from rnnlm.network.outputs.softmax.weights import Block, Weights
from rnnlm.network.protocols import Array


def value(rows: Block, weights: Weights, log_probability: Array, epsilon: float) -> float:
    """The sum of J_epsilon(t) over rows, from the log y^_x (N) of the plain loss."""
    (h, targets), (U, b2, tied) = rows, weights
    own = (U if tied else U.T)[targets]
    z = np.einsum("rk,rk->r", h, own, dtype=np.float64) + b2[targets]
    all_z = h @ U.sum(axis=0 if tied else 1) + b2.sum()
    sum_log = all_z - b2.size * (z - log_probability)
    return float(-(1 - epsilon) * log_probability.sum() - epsilon / b2.size * sum_log.sum())


def backward(rows: Block, weights: Weights, d_weights: Weights, dh: Array, scale: float, epsilon: float) -> None:
    """Adds to the gradients of the plain loss; dh (N x D_h) and `scale` as there."""
    (h, targets), (U, b2, tied), (dU, db2, _) = rows, weights, d_weights
    spread = epsilon * scale / b2.size
    dh -= U.sum(axis=0 if tied else 1) * U.dtype.type(spread)
    dU -= (h.sum(axis=0) * U.dtype.type(spread))[None, :] if tied else (h.sum(axis=0) * U.dtype.type(spread))[:, None]
    db2 -= spread * len(targets)
    columns, d_columns = (U, dU) if tied else (U.T, dU.T)
    _add_targets(h, columns, targets, U.dtype.type(epsilon * scale), d_columns, db2, dh)


@jit
def _add_targets(h, columns, targets, factor, d_columns, db2, dh):
    """The targets' part, factor y: to dJ/db2 (|V|), to dJ/dU by columns (|V| x D_h) and to dJ/dh (N x D_h).
    columns: U by columns, |V| x D_h."""
    for r in range(targets.size):
        x = targets[r]
        db2[x] += factor
        for k in range(h.shape[1]):
            dh[r, k] += factor * columns[x, k]
            d_columns[x, k] += factor * h[r, k]
