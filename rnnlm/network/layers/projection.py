"""A matrix between the last layer and the softmax: what the output layers make of h first.

    p(t) = h(t) P + b             N x k, from h: N x D_h       P: D_h x k   b: k, or None
    dJ/dP = sum_t h(t)' dJ/dp(t)  dJ/db = sum_t dJ/dp(t)       dJ/dh(t) = dJ/dp(t) P'

Each matrix takes a set of workspace of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.kernels.cpu import MULTIPLICATIONS, useful_threads
from rnnlm.kernels.matmul import linear

if TYPE_CHECKING:
    from rnnlm.kernels.workspace import Workspace


def forward(h, P, b, workspace: Workspace, threads):
    """p, N x k, which lives until the next call."""
    p = workspace.take("p", (len(h), P.shape[1]))
    linear.forward(
        threads, h, P, _bias(P, b), workspace.rows("h_rows", *h.shape), workspace.panels("packed_P", *P.shape), p
    )
    return p


def backward(h, P, dp, dP, dh, workspace: Workspace, threads):
    """Undoes `forward`, but for b: writes dJ/dP and dJ/dh."""
    (rows, hidden), width = h.shape, P.shape[1]
    linear.backward(
        threads, h, P, dp, workspace.columns("h_columns", rows, hidden), workspace.panels("packed_dp", rows, width),
        workspace.rows("dp_rows", rows, width), workspace.panels("packed_back", width, hidden), dP, dh,
    )  # fmt: skip


class Ready(NamedTuple):
    """Weights that do not change any more, packed."""

    packed_P: np.ndarray
    b: np.ndarray
    workspace: Workspace


def ready(P, b, workspace: Workspace) -> Ready:
    """What `step` reads."""
    packed_P = workspace.panels("packed_P", *P.shape)
    linear.pack(P, packed_P)
    return Ready(packed_P, _bias(P, b), workspace)


def step(packed: Ready, h, threads):
    """p of the next token, B x k, which lives until the next call."""
    p = packed.workspace.take("p", (len(h), packed.b.size))
    threads = useful_threads(threads, h.size * packed.b.size, MULTIPLICATIONS)
    linear.forward_packed(threads, packed.packed_P, packed.b, h, p)
    return p


def _bias(P, b):
    return np.zeros(P.shape[1], P.dtype) if b is None else b
