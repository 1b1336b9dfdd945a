"""Layer normalisation of a recurrent layer's output (Ba, Kiros & Hinton 2016, section 3).

It stands before the layer's dropout; the recurrence itself stays as it is:

    m(t) = mean of h(t)     s(t) = sqrt(mean of (h(t) - m(t))^2 + eps)        over the layer's D_h units
    x(t) = (h(t) - m(t)) / s(t)
    h^(t) = g o x(t) + b                                                      g, b: D_h

Backward, with dx = dJ/dh^ o g:

    dJ/dh(t) = (dx - mean of dx - x o mean of (dx o x)) / s
    dJ/dg = sum_t dJ/dh^(t) o x(t)        dJ/db = sum_t dJ/dh^(t)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context
from rnnlm.network.protocols import Array, Arrays, Axis, Shapes

EPSILON = 1e-5


class Trace(NamedTuple):
    """The trace: what `forward` leaves for `backward`; lives until the next window."""

    x: np.ndarray  # n x D_h
    s: np.ndarray  # n


def shapes(hidden: int) -> Shapes:
    """Parameters by name; hidden: D_h."""
    return {"g": (Axis(hidden, "D_h"),), "b": (Axis(hidden, "D_h"),)}


def init(hidden: int) -> Arrays:
    """g = 1, b = 0."""
    return {"g": np.ones(hidden), "b": np.zeros(hidden)}


def forward(parameters: Arrays, h: Array, out: Array, context: Context) -> Trace:
    """Writes h^(t).

    Args:
        parameters: g, b; h, out: n x D_h, a row a step of a stream; may be the same array.
    """
    workspace = context.workspace
    trace = Trace(workspace.take("normal", h.shape), workspace.take("deviation", (len(h),)))
    _forward(context.threads, h, parameters["g"], parameters["b"], *trace, out)
    return trace


def backward(parameters: Arrays, gradients: Arrays, trace: Trace, dh: Array) -> None:
    """dh (n x D_h), dJ/dh^(t), becomes dJ/dh(t); gradients: g, b: written, not added to."""
    np.einsum("rk,rk->k", dh, trace.x, out=gradients["g"])
    np.sum(dh, axis=0, out=gradients["b"])
    _backward(dh, parameters["g"], trace.x, trace.s)


@parallel
def _forward(thread, h, g, b, x, s, out):
    start, stop = partition(thread, h.shape[0], 1)
    size = h.shape[1]
    for r in range(start, stop):
        mean = np.float64(0)
        for j in range(size):
            mean += h[r, j]
        mean /= size
        square = np.float64(0)
        for j in range(size):
            square += (h[r, j] - mean) ** 2
        deviation = np.sqrt(square / size + EPSILON)
        s[r] = deviation
        for j in range(size):
            x[r, j] = (h[r, j] - mean) / deviation
            out[r, j] = g[j] * x[r, j] + b[j]


@jit
def _backward(dh, g, x, s):
    size = dh.shape[1]
    for r in range(dh.shape[0]):
        mean, along = np.float64(0), np.float64(0)
        for j in range(size):
            dh[r, j] *= g[j]
            mean += dh[r, j]
            along += dh[r, j] * x[r, j]
        mean, along = mean / size, along / size
        for j in range(size):
            dh[r, j] = (dh[r, j] - mean - x[r, j] * along) / s[r]
