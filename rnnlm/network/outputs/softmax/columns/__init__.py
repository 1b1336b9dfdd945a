"""The softmax of a large vocabulary, partitioned by columns.

Each thread has its own part of the vocabulary.

With s(t) any number near the largest z2(t), exp_z(t) = exp(z2(t) - s(t)) and S(t) = sum_j exp_z_j(t),

    y^ = exp_z / S      dJ/dh = (exp_z U') / S - U_x'      dJ/dU = sum_t (h / S)' (exp_z - S y)

So the matrix exp_z is all that there is of z2, y^ and delta2. Each panel of columns goes from h U to exp_z and on to
exp_z U' while it lies in the processor's cache (``exponentials``), and, when S is known, to dU (``gradients``). s is
the largest logit of the row's first panel; in the rare case that a row has one far above it, all is done again with
that.

When S is known, and with it y^_x, each row can still be given a weight of its own (`Weighting`): that is all that a
mixture of such softmaxes needs (``outputs.mixture``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rnnlm.kernels import cpu
from rnnlm.kernels.workspace import Context
from rnnlm.network.outputs.softmax.columns import exponentials, gradients
from rnnlm.network.outputs.softmax.columns.workspace import intermediates, rows_at_once
from rnnlm.network.outputs.softmax.weights import Block, Weights
from rnnlm.network.protocols import Array


class Weighting(NamedTuple):
    """What gives each row a weight in place of its scale, once log y^_x is known."""

    # (rows of a block, log y^_x of each, weights to write) -> None; called block after block.
    weigh: Callable[[slice, np.ndarray, np.ndarray], None]
    # Rows that must be in one block, so that they can be weighed together; their number divides N.
    together: int


def forward(rows: Block, weights: Weights, log_probability: Array, context: Context) -> None:
    """Writes log y^_x (N float64) of each row's target."""
    count = len(rows.h)
    block = min(count, cpu.SCORED_ROWS)
    arrays = intermediates(rows.h, weights, block, False, context)
    for start in range(0, count, block):
        part = rows.rows(start, start + block)
        exponentials.compute(arrays, part, weights, False, context.threads)
        exponentials.score(context.threads, arrays, part, weights.b2, log_probability[start : start + block])


def backward(
    rows: Block, weights: Weights, d_weights: Weights, dh: Array, scales: Array, context: Context,
    weighting: Weighting | None = None,
) -> float:  # fmt: skip
    """Loss and gradients of ``sum of scale(t) J(t)`` over the rows; see ``protocols.OutputLayer.backward``.

    Returns:
        The sum of J, not scaled.
    """
    count, together = len(rows.h), weighting.together if weighting else 1
    groups = count // together
    most = rows_at_once(rows.h, weights.V, context)
    block = -(-groups // -(-groups // max(1, most // together))) * together
    arrays, threads = intermediates(rows.h, weights, block, True, context), context.threads
    losses = np.zeros(threads)
    for start in range(0, count, block):
        stop = min(start + block, count)
        part = rows.rows(start, stop)
        arrays.scales[: stop - start] = scales[start:stop]
        exponentials.compute(arrays, part, weights, True, threads)
        if weighting is not None:
            log_y = arrays.log_y[: stop - start]
            exponentials.score(threads, arrays, part, weights.b2, log_y)
            weighting.weigh(slice(start, stop), log_y, arrays.scales)
        gradients.of_h(threads, arrays, part, weights, dh[start:stop], losses)
        gradients.of_weights(threads, arrays, part.targets, d_weights, start > 0)
    return float(losses.sum())
