"""The projection between the last layer and the softmax: what output layers make of h first.

    p(t) = h(t) P + b             N x k, from h: N x D_h       P: D_h x k   b: k, or None
    dJ/dP = sum_t h(t)' dJ/dp(t)  dJ/db = sum_t dJ/dp(t)       dJ/dh(t) = dJ/dp(t) P'

Each matrix takes a workspace of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnlm.kernels.cpu import MULTIPLICATIONS, useful_threads
from rnnlm.kernels.matmul import linear
from rnnlm.kernels.matmul.layout import Packed as Operand
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.protocols import Array


class Packed(NamedTuple):
    """Packed weights, for one token at a time."""

    packed_P: Operand  # panels of P
    b: Array  # k
    workspace: Workspace


def forward(h: Array, P: Array, b: Array | None, context: Context) -> Array:
    """p, N x k, which lives until the next call."""
    p: Array = context.workspace.take("p", (len(h), P.shape[1]))
    linear.forward(h, P, _bias(P, b), p, context)
    return p


def backward(h: Array, P: Array, dp: Array, dP: Array, dh: Array, context: Context) -> None:
    """Undoes `forward`, but for b: writes dJ/dP (D_h x k) and dJ/dh (N x D_h), from dJ/dp (N x k)."""
    linear.backward(h, P, dp, dP, dh, context)


def pack(P: Array, b: Array | None, workspace: Workspace) -> Packed:
    """Packed weights, which `step` reads."""
    packed_P = workspace.panels("packed_P", *P.shape)
    linear.pack(P, packed_P)
    return Packed(packed_P, _bias(P, b), workspace)


def step(packed: Packed, h: Array, threads: int) -> Array:
    """p of the next token, B x k, which lives until the next call. h: B x D_h."""
    p: Array = packed.workspace.take("p", (len(h), packed.b.size))
    threads = useful_threads(threads, h.size * packed.b.size, MULTIPLICATIONS)
    linear.forward_packed(threads, packed.packed_P, packed.b, h, p)
    return p


def _bias(P: Array, b: Array | None) -> Array:
    """b, or zeros (k)."""
    return np.zeros(P.shape[1], P.dtype) if b is None else b
