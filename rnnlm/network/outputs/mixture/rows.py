"""Whole rows of log y^ = log sum_k pi_k q_k: for sampling, and for what is said beside a probability."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.kernels import cpu
from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise.exp import exp
from rnnlm.kernels.elementwise.rows import clear, copy
from rnnlm.kernels.elementwise.softmax import largest
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_rows
from rnnlm.kernels.matmul.layout import pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.layers import projection
from rnnlm.network.outputs.mixture import heads
from rnnlm.network.outputs.softmax import logits
from rnnlm.network.outputs.softmax.logits import rank_and_entropy

if TYPE_CHECKING:
    from rnnlm.kernels.workspace import Workspace


def forward(log_pi, g, U, b2, tied, targets, log_probability, rank, entropy, workspace: Workspace, threads):
    """Writes log_probability, rank and entropy; see ``outputs.softmax.forward``. log_pi, g: from
    ``heads.forward``."""
    rows, count = log_pi.shape
    block = max(1, min(-(-rows // threads), cpu.LOGITS_A_THREAD // (count * b2.size)))
    z = workspace.take("logits", (threads, block * count, b2.size))
    spare = workspace.take("spare", (threads, 2, b2.size))
    packed = workspace.panels("packed_U", g.shape[1], b2.size)
    _forward(threads, log_pi, g, U, packed, b2, tied, targets, z, spare, log_probability, rank, entropy)


class Ready(NamedTuple):
    """Weights that do not change any more, packed."""

    packed_U: np.ndarray
    b2: np.ndarray
    W: projection.Ready
    P: projection.Ready
    workspace: Workspace


def step(packed: Ready, h, z, threads):
    """log y^ of the next token, B x |V|, written to z."""
    log_pi = heads.log_prior(projection.step(packed.W, h, threads))
    rows, count = log_pi.shape
    g = heads.squashed(projection.step(packed.P, h, threads), count, threads)
    vocabulary = packed.b2.size
    block = min(rows, max(1, cpu.MIXTURE_LOGITS // (count * vocabulary)))
    own = packed.workspace.take("logits", (block * count, vocabulary))
    spare = packed.workspace.take("spare", (threads, 2, vocabulary))
    for first in range(0, rows, block):
        last = min(first + block, rows)
        part = own[: (last - first) * count]
        logits.step(packed.packed_U, packed.b2, g[first * count : last * count], part, threads)
        _mix(cpu.useful_threads(threads, part.size, cpu.MIXED_LOGITS), part, log_pi[first:last], spare, z[first:last])


@parallel
def _forward(thread, log_pi, g, U, packed, b2, tied, targets, z, spare, log_probability, rank, entropy):
    """Each thread has its own rows. z, spare: own, the logits of a block of rows, and room for `_log_mixture`."""
    (rows, count), m, vocabulary = log_pi.shape, g.shape[1], b2.size
    start, stop = partition(thread, vocabulary, 2 * LANES)
    pack_panels(U, tied, start, stop, m, packed)
    wait(thread)
    start, stop = partition(thread, rows, 1)
    block = z.shape[1] // count
    for first in range(start, stop, block):
        last = min(stop, first + block)
        own = z[thread.number, : (last - first) * count]
        for i in range(own.shape[0]):
            copy(b2, own[i])
        multiply_rows(g[first * count : last * count], m, packed, 0, vocabulary, own, True)  # z_k = g_k U + b2
        for r in range(first, last):
            at = (r - first) * count
            log_y = own[at]
            _log_mixture(own[at : at + count], log_pi[r], spare[thread.number], log_y)
            rank[r], entropy[r] = rank_and_entropy(log_y, targets[r])
            log_probability[r] = log_y[targets[r]]


@parallel
def _mix(thread, z, log_pi, spare, log_y):
    """log y^ of each row (B x |V|) from its K rows of logits."""
    count = log_pi.shape[1]
    start, stop = partition(thread, log_y.shape[0], 1)
    for r in range(start, stop):
        _log_mixture(z[r * count : (r + 1) * count], log_pi[r], spare[thread.number], log_y[r])


@jit
def _log_mixture(z, log_pi, spare, log_y):
    """Writes log y^_j = log sum_k pi_k q_k,j (|V|) from one row's logits z (K x |V|, written over). The largest of
    the K is taken out first, so no probability is too small. spare: 2 x |V|; log_y may be z[0]."""
    top, total = spare[0], spare[1]
    for k in range(z.shape[0]):
        row = z[k]
        shift = row.dtype.type(log_pi[k] - _log_sum(row))
        for j in range(row.size):
            row[j] += shift
        if k == 0:
            copy(row, top)
        for j in range(row.size):
            top[j] = row[j] if row[j] > top[j] else top[j]
    clear(total)
    for k in range(z.shape[0]):
        row = z[k]
        for j in range(row.size):
            total[j] += exp(row[j] - top[j])
    for j in range(total.size):
        log_y[j] = top[j] + math.log(total[j])


@jit
def _log_sum(row):
    """log sum_j e^z_j, in float64."""
    top = largest(row)
    total = row.dtype.type(0)
    for j in range(row.size):
        total += exp(row[j] - top)
    return np.float64(top) + math.log(np.float64(total))
