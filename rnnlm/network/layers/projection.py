"""A matrix between the last layer and the softmax: what the output layers make of h first.

    p(t) = h(t) P + b             N x k, from h: N x D_h       P: D_h x k   b: k, or None
    dJ/dP = sum_t h(t)' dJ/dp(t)  dJ/db = sum_t dJ/dp(t)       dJ/dh(t) = dJ/dp(t) P'

Each matrix takes a set of buffers of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.kernels.matmul import linear

if TYPE_CHECKING:
    from rnnlm.kernels.workspace import Buffers

# Multiplications that one thread is done with before another is awake.
_ALONE = 1 << 19


def forward(h, P, b, buffers: Buffers, threads):
    """p, N x k, which lives until the next call."""
    p = buffers.take("p", (len(h), P.shape[1]))
    linear.forward(
        threads, h, P, _bias(P, b), buffers.rows("h_rows", *h.shape), buffers.panels("packed_P", *P.shape), p
    )
    return p


def backward(h, P, dp, dP, dh, buffers: Buffers, threads):
    """Undoes `forward`, but for b: writes dJ/dP and dJ/dh."""
    (rows, hidden), width = h.shape, P.shape[1]
    linear.backward(
        threads, h, P, dp, buffers.columns("h_columns", rows, hidden), buffers.panels("packed_dp", rows, width),
        buffers.rows("dp_rows", rows, width), buffers.panels("packed_back", width, hidden), dP, dh,
    )  # fmt: skip


class Ready(NamedTuple):
    """Weights that do not change any more, packed."""

    packed_P: np.ndarray
    b: np.ndarray
    buffers: Buffers


def ready(P, b, buffers: Buffers) -> Ready:
    """What `step` reads."""
    packed_P = buffers.panels("packed_P", *P.shape)
    linear.pack(P, packed_P)
    return Ready(packed_P, _bias(P, b), buffers)


def step(packed: Ready, h, threads):
    """p of the next token, B x k, which lives until the next call."""
    p = packed.buffers.take("p", (len(h), packed.b.size))
    linear.forward_packed(threads if h.size * packed.b.size > _ALONE else 1, packed.packed_P, packed.b, h, p)
    return p


def _bias(P, b):
    return np.zeros(P.shape[1], P.dtype) if b is None else b
