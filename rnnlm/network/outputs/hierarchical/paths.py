"""Kernels over the paths of the targets, and over the whole tree.

A decision is one inner node on one row's path: N rows have L of them. Each thread has its own rows, and writes dJ/dz
of their decisions; then each has its own nodes, and adds up the decisions at each in the order of the rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.kernels import cpu
from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context
from rnnlm.network.protocols import Array, Arrays, RowGradients, Rows


class _Weights(NamedTuple):
    W: Array  # |V| - 1 x D_h
    b: Array  # |V| - 1


class _Decisions(NamedTuple):
    """The decisions of N rows, row by row."""

    bounds: NDArray[np.int64]  # N + 1: those of each row
    nodes: NDArray[np.int32]  # L
    sides: NDArray[np.int8]  # L


class _ByNode(NamedTuple):
    """The same by node, K nodes."""

    nodes: NDArray[np.int32]  # K, rising
    bounds: NDArray[np.int64]  # K + 1: the decisions at each
    order: NDArray[np.int64]  # L, the decisions, node by node
    rows: NDArray[np.int64]  # L, the row of each, node by node
    shares: NDArray[np.int64]  # threads + 1: the nodes of each thread


class _Found(NamedTuple):
    """What is written."""

    dz: Array  # L, of each decision
    dW: Array  # K x D_h
    db: Array  # |V| - 1
    dh: Array  # N x D_h
    losses: NDArray[np.float64]  # the sum of J, a thread


def score(parameters: Arrays, rows: Rows, log_probability: NDArray[np.float64], threads: int) -> None:
    """Writes log y^_x of each row's target (N)."""
    decisions = _decisions(parameters, rows)
    threads = _useful(threads, decisions, rows)
    _score(threads, decisions, rows.h, _weights(parameters), log_probability)


def backward(
    parameters: Arrays, gradients: Arrays, rows: Rows, scale: float, dh: Array, context: Context
) -> tuple[float, RowGradients]:
    """Loss and gradients of ``scale * sum of J``: db and dh (N x D_h) are written.

    Returns:
        The sum of J, not scaled; the gradient of W.
    """
    decisions = _decisions(parameters, rows)
    threads = _useful(context.threads, decisions, rows)
    by_node, take = _by_node(decisions, threads), context.workspace.take
    dz, dW = take("dz", decisions.nodes.shape), take("dW", (len(by_node.nodes), rows.h.shape[1]))
    found = _Found(dz, dW, gradients["b"], dh, np.zeros(threads))
    found.db.fill(0)
    _backward(threads, decisions, by_node, rows.h, _weights(parameters), found, rows.h.dtype.type(scale))
    return float(found.losses.sum()), (by_node.nodes, dW)


def log_distribution(tables: Arrays, z: Array, threads: int) -> NDArray[np.float64]:
    """log y^ (B x |V|) of every node's z (B x |V| - 1)."""
    log_y = np.empty((len(z), z.shape[1] + 1))
    _distribute(cpu.useful_threads(threads, z.size, cpu.DRAWN_LOGITS), tables["children"], z, log_y)
    return log_y


def walk(
    parameters: Arrays, h: Array, uniforms: NDArray[np.float64], log_probability: NDArray[np.float64]
) -> NDArray[np.int32]:
    """A token of each row of h (B x D_h), by a walk from the root; writes its log y^ (B)."""
    tokens = np.empty(len(h), np.int32)
    _walk(parameters["children"], _weights(parameters), h, uniforms, tokens, log_probability)
    return tokens


def _weights(parameters: Arrays) -> _Weights:
    return _Weights(parameters["W"], parameters["b"])


def _decisions(tables: Arrays, rows: Rows) -> _Decisions:
    starts, targets = tables["starts"], rows.targets.astype(np.int64)
    lengths = starts[targets + 1] - starts[targets]
    bounds = np.append(0, lengths.cumsum())
    places = np.repeat(starts[targets] - bounds[:-1], lengths) + np.arange(bounds[-1])
    return _Decisions(bounds, tables["nodes"][places], tables["sides"][places])


def _by_node(decisions: _Decisions, threads: int) -> _ByNode:
    order = np.argsort(decisions.nodes, kind="stable")
    nodes, first = np.unique(decisions.nodes[order], return_index=True)
    rows = np.repeat(np.arange(len(decisions.bounds) - 1), np.diff(decisions.bounds))[order]
    bounds = np.append(first, len(order)).astype(np.int64)
    shares = np.searchsorted(bounds, len(order) * np.arange(threads + 1) / threads)
    return _ByNode(nodes, bounds, order, rows, shares)


def _useful(threads: int, decisions: _Decisions, rows: Rows) -> int:
    return cpu.useful_threads(threads, decisions.nodes.size * rows.h.shape[1], cpu.MULTIPLICATIONS)


@jit
def _z(weights, n, h):
    """z of inner node n for one row of h (D_h)."""
    W, z = weights.W[n], weights.b[n]
    for k in range(h.size):
        z += W[k] * h[k]
    return np.float64(z)


@jit
def _log_sigmoid(z):
    return min(z, 0.0) - math.log1p(math.exp(-abs(z)))


@parallel
def _score(thread, decisions, h, weights, log_probability):
    """Each thread has its own rows."""
    first, last = partition(thread, h.shape[0], 1)
    for i in range(first, last):
        sum_ = 0.0
        for j in range(decisions.bounds[i], decisions.bounds[i + 1]):
            z = _z(weights, decisions.nodes[j], h[i])
            sum_ += _log_sigmoid(-z if decisions.sides[j] else z)
        log_probability[i] = sum_


@parallel
def _backward(thread, decisions, by_node, h, weights, found, scale):
    """Each thread has its own rows, and then its own nodes."""
    hidden = h.shape[1]
    first, last = partition(thread, h.shape[0], 1)
    for i in range(first, last):
        dh = found.dh[i]
        dh[:] = 0
        for j in range(decisions.bounds[i], decisions.bounds[i + 1]):
            n, sign = decisions.nodes[j], -1.0 if decisions.sides[j] else 1.0
            signed = sign * _z(weights, n, h[i])
            found.losses[thread.number] -= _log_sigmoid(signed)
            dz = h.dtype.type(-scale * sign / (1.0 + math.exp(signed)))
            found.dz[j] = dz
            W = weights.W[n]
            for k in range(hidden):
                dh[k] += dz * W[k]
    wait(thread)
    for g in range(by_node.shares[thread.number], by_node.shares[thread.number + 1]):
        dW, db = found.dW[g], h.dtype.type(0)
        dW[:] = 0
        for e in range(by_node.bounds[g], by_node.bounds[g + 1]):
            dz, own = found.dz[by_node.order[e]], h[by_node.rows[e]]
            db += dz
            for k in range(hidden):
                dW[k] += dz * own[k]
        found.db[by_node.nodes[g]] = db


@parallel
def _distribute(thread, children, z, log_y):
    """Each thread has its own rows. A node's number is greater than those below it."""
    V = log_y.shape[1]
    of_inner = np.empty(V - 1, np.float64)
    first, last = partition(thread, z.shape[0], 1)
    for b in range(first, last):
        of_inner[V - 2] = 0.0
        for n in range(V - 2, -1, -1):
            for side in range(2):
                own = np.float64(z[b, n])
                log_p = of_inner[n] + _log_sigmoid(-own if side else own)
                below = children[n, side]
                if below < V:
                    log_y[b, below] = log_p
                else:
                    of_inner[below - V] = log_p


@jit
def _walk(children, weights, h, uniforms, tokens, log_probability):
    """What is left of a row's uniform number after a decision is used for the next."""
    V = children.shape[0] + 1
    for b in range(h.shape[0]):
        node, uniform, log_p = 2 * V - 2, uniforms[b], 0.0
        while node >= V:
            z = _z(weights, node - V, h[b])
            p = 1.0 / (1.0 + math.exp(-z))
            side = 0 if uniform < p else 1
            uniform = uniform / p if side == 0 else (uniform - p) / (1.0 - p)
            log_p += _log_sigmoid(-z if side else z)
            node = children[node - V, side]
        tokens[b], log_probability[b] = node, log_p
