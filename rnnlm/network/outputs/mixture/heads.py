"""Heads of a mixture: the prior of each softmax, and the vector that it reads.

pi = softmax(h W) and g = tanh(h P + c).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnlm.kernels.cpu import TANH_NUMBERS, useful_threads
from rnnlm.kernels.elementwise.activations import tanh
from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.layers import projection
from rnnlm.network.outputs.mixture.responsibilities import log_sum
from rnnlm.network.protocols import Array, Arrays


class Heads(NamedTuple):
    """The K softmaxes' priors and inputs, of N rows."""

    log_pi: np.ndarray  # N x K float64
    g: np.ndarray  # N K x m, the g_k of each row below one another


class HeadGradients(NamedTuple):
    """dJ/d(what `forward` makes)."""

    d_prior: np.ndarray  # N x K, dJ/d(h W)
    dg: np.ndarray  # N K x m


class Packed(NamedTuple):
    """Weights that do not change any more, for one token at a time."""

    W: projection.Packed
    P: projection.Packed


def forward(parameters: Arrays, h: Array, context: Context) -> Heads:
    """pi and g, which live until the next call. h: N x D_h."""
    prior = projection.forward(h, parameters["W"], None, context.part("W"))
    u = projection.forward(h, parameters["P"], parameters["c"], context.part("P"))
    return _heads(prior, u, context.threads)


def backward(
    parameters: Arrays, gradients: Arrays, h: Array, g: Array, d_heads: HeadGradients, dh: Array, context: Context
) -> None:
    """Undoes `forward`: writes dJ/dW, dJ/dP, dJ/dc and dJ/dh (N x D_h). dg is written over."""
    d_prior, dg = d_heads
    _squash_back(useful_threads(context.threads, g.size, TANH_NUMBERS), g, dg)
    du = dg.reshape(h.shape[0], -1)
    gradients["c"][:] = du.sum(axis=0)
    projection.backward(h, parameters["P"], du, gradients["P"], dh, context.part("P"))
    from_prior = context.workspace.take("from_prior", dh.shape)
    projection.backward(h, parameters["W"], d_prior, gradients["W"], from_prior, context.part("W"))
    dh += from_prior


def pack(parameters: Arrays, workspace: Workspace) -> Packed:
    """What `step` reads."""
    W = projection.pack(parameters["W"], None, workspace.part("W"))
    return Packed(W, projection.pack(parameters["P"], parameters["c"], workspace.part("P")))


def step(packed: Packed, h: Array, threads: int) -> Heads:
    """pi and g of the next token, which live until the next call. h: B x D_h."""
    return _heads(projection.step(packed.W, h, threads), projection.step(packed.P, h, threads), threads)


def _heads(prior: Array, u: Array, threads: int) -> Heads:
    """From h W (N x K) and u = h P + c (N x K m), which becomes g."""
    _squash(useful_threads(threads, u.size, TANH_NUMBERS), u)
    return Heads(_log_prior(prior), u.reshape(prior.size, -1))


@parallel
def _squash(thread, u):
    """u (N x K m) becomes tanh(u). Row by row, so that a row is the same to the last bit wherever it stands."""
    start, stop = partition(thread, u.shape[0], 1)
    for r in range(start, stop):
        row = u[r]
        for j in range(row.size):
            row[j] = tanh(row[j])


@parallel
def _squash_back(thread, g, dg):
    """Undoes `_squash`: dg (N K x m, as g) becomes dJ/du = dJ/dg o (1 - g o g)."""
    start, stop = partition(thread, g.shape[0], 1)
    one = g.dtype.type(1)
    for r in range(start, stop):
        row, d_row = g[r], dg[r]
        for j in range(row.size):
            d_row[j] *= one - row[j] * row[j]


@jit
def _log_prior(z):
    """log pi = log softmax(h W) in float64, from h W (N x K)."""
    rows, count = z.shape
    result = np.empty((rows, count))
    for r in range(rows):
        for k in range(count):
            result[r, k] = z[r, k]
        whole = log_sum(result[r])
        for k in range(count):
            result[r, k] -= whole
    return result
