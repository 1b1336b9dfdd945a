"""Label smoothing (Szegedy et al. 2016): a part epsilon of the target, spread over the vocabulary.

    J_epsilon(t) = - (1 - epsilon) log y^_x - epsilon / |V| sum_j log y^_j
    dJ_epsilon/dz2(t) = y^ - (1 - epsilon) y - epsilon / |V|

which is the plain loss's gradient and, beside it, epsilon y - epsilon / |V|: one column of U for each row and
the same for all columns. So what ``Softmax.backward`` has left is added to here, and no probability is
computed again: sum_j log y^_j = h sum_j U_j + sum_j b2_j - |V| log Z, with log Z = z2_x - log y^_x.
"""

from __future__ import annotations

import numpy as np

from rnnlm.network.outputs.softmax import targets
from rnnlm.network.outputs.softmax.weights import Block, Weights
from rnnlm.network.protocols import Array


def added(rows: Block, weights: Weights, log_probability: Array, epsilon: float) -> float:
    """What J_epsilon(t) has beside the plain loss, summed over rows, from the log y^_x (N) of that."""
    U, b2, tied = weights
    all_z = rows.h @ U.sum(axis=0 if tied else 1) + b2.sum()
    sum_log = all_z - b2.size * (targets.logits(rows, weights) - log_probability)
    return float(epsilon * (log_probability.sum() - sum_log.sum() / b2.size))


def backward(rows: Block, weights: Weights, d_weights: Weights, dh: Array, scale: float, epsilon: float) -> None:
    """Adds to the gradients of the plain loss; dh (N x D_h) and `scale` as there."""
    h, (U, b2, tied), (dU, db2, _) = rows.h, weights, d_weights
    spread = epsilon * scale / b2.size
    dh -= U.sum(axis=0 if tied else 1) * U.dtype.type(spread)
    dU -= (h.sum(axis=0) * U.dtype.type(spread))[None, :] if tied else (h.sum(axis=0) * U.dtype.type(spread))[:, None]
    db2 -= spread * len(h)
    targets.add(rows, weights, d_weights, dh, np.full(len(h), epsilon * scale))
