"""What a mixture makes of h: how much each softmax counts, pi = softmax(h W), and what it reads,
g = tanh(h P + c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rnnlm.kernels.cpu import TANH_NUMBERS, useful_threads
from rnnlm.kernels.elementwise.activations import tanh
from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.layers import projection
from rnnlm.network.outputs.mixture.responsibilities import log_sum

if TYPE_CHECKING:
    from rnnlm.kernels.workspace import Workspace


def forward(parameters, h, workspace: Workspace, threads):
    """log pi (N x K float64), and the g_k of each row below one another (N K x m), which live until the next call."""
    prior = projection.forward(h, parameters["W"], None, workspace.part("W"), threads)
    u = projection.forward(h, parameters["P"], parameters["c"], workspace.part("P"), threads)
    return log_prior(prior), squashed(u, prior.shape[1], threads)


def backward(parameters, gradients, h, g, dg, d_prior, dh, workspace: Workspace, threads):
    """Undoes `forward`: writes dJ/dW, dJ/dP, dJ/dc and dJ/dh. dg (N K x m) is written over; d_prior: dJ/d(h W)."""
    _squash_back(useful_threads(threads, g.size, TANH_NUMBERS), g, dg)
    du = dg.reshape(h.shape[0], -1)
    gradients["c"][:] = du.sum(axis=0)
    projection.backward(h, parameters["P"], du, gradients["P"], dh, workspace.part("P"), threads)
    from_prior = workspace.take("from_prior", dh.shape)
    projection.backward(h, parameters["W"], d_prior, gradients["W"], from_prior, workspace.part("W"), threads)
    dh += from_prior


def squashed(u, count, threads):
    """u (N x K m) becomes g, returned as N K x m."""
    _squash(useful_threads(threads, u.size, TANH_NUMBERS), u)
    return u.reshape(u.shape[0] * count, -1)


@parallel
def _squash(thread, u):
    """Row by row, so that a row is the same to the last bit wherever it stands."""
    start, stop = partition(thread, u.shape[0], 1)
    for r in range(start, stop):
        row = u[r]
        for j in range(row.size):
            row[j] = tanh(row[j])


@parallel
def _squash_back(thread, g, dg):
    """Undoes `_squash`: dg becomes dJ/du = dJ/dg o (1 - g o g)."""
    start, stop = partition(thread, g.shape[0], 1)
    one = g.dtype.type(1)
    for r in range(start, stop):
        row, d_row = g[r], dg[r]
        for j in range(row.size):
            d_row[j] *= one - row[j] * row[j]


@jit
def log_prior(z):
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
