"""Whole rows of a mixture's log y^ = log sum_k pi_k q_k, for sampling, ranks and entropies."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.kernels import cpu
from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise.exp import exp
from rnnlm.kernels.elementwise.rows import clear, copy
from rnnlm.kernels.elementwise.softmax import largest
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_rows
from rnnlm.kernels.matmul.layout import Numbers
from rnnlm.kernels.matmul.layout import Packed as Operand
from rnnlm.kernels.matmul.pack import pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.outputs.mixture import heads
from rnnlm.network.outputs.mixture.heads import Heads
from rnnlm.network.outputs.softmax import logits
from rnnlm.network.outputs.softmax.logits import describe
from rnnlm.network.outputs.softmax.weights import Weights
from rnnlm.network.protocols import Array, Arrays, Scores


class _Room(NamedTuple):
    """What `_forward` writes to: each thread's own (first index), and U packed."""

    z: np.ndarray  # own: the logits of a block of rows, K of them below one another, x |V|
    spare: np.ndarray  # own: 2 x |V|, for `_log_mixture`
    packed_U: Operand  # panels


def forward(made: Heads, weights: Weights, targets: NDArray[np.int32], scores: Scores, context: Context) -> None:
    """Writes all scores of each row's target (N)."""
    workspace, threads = context
    rows, count = made.log_pi.shape
    block = max(1, min(-(-rows // threads), cpu.LOGITS_A_THREAD // (count * weights.V)))
    room = _Room(
        workspace.take("logits", (threads, block * count, weights.V)),
        workspace.take("spare", (threads, 2, weights.V)),
        workspace.panels("packed_U", weights.D_h, weights.V),
    )
    _forward(threads, made, weights, targets, room, scores)


class Packed(NamedTuple):
    """Weights that do not change any more, for one token at a time."""

    heads: heads.Packed
    softmax: logits.Packed
    workspace: Workspace


def pack(parameters: Arrays, weights: Weights, workspace: Workspace) -> Packed:
    """What `step` reads."""
    return Packed(heads.pack(parameters, workspace), logits.pack(weights, workspace), workspace)


def step(packed: Packed, h: Array, z: Array, threads: int) -> None:
    """log y^ of rows of h (B x D_h), written to z (B x |V|)."""
    log_pi, g = heads.step(packed.heads, h, threads)
    (rows, count), vocabulary = log_pi.shape, packed.softmax.b2.size
    block = min(rows, max(1, cpu.MIXTURE_LOGITS // (count * vocabulary)))
    own = packed.workspace.take("logits", (block * count, vocabulary))
    spare = packed.workspace.take("spare", (threads, 2, vocabulary))
    for first in range(0, rows, block):
        last = min(first + block, rows)
        part = own[: (last - first) * count]
        logits.step(packed.softmax, g[first * count : last * count], part, threads)
        useful = cpu.useful_threads(threads, part.size, cpu.MIXED_LOGITS)
        _mix(useful, part, log_pi[first:last], spare, z[first:last])


@parallel
def _forward(thread, made, weights, targets, room, scores):
    """Each thread has its own rows."""
    (rows, count), m, vocabulary = made.log_pi.shape, made.g.shape[1], weights.b2.size
    start, stop = partition(thread, vocabulary, 2 * LANES)
    pack_panels(weights.U, weights.tied, start, stop, m, room.packed_U)
    wait(thread)
    start, stop = partition(thread, rows, 1)
    block = room.z.shape[1] // count
    for first in range(start, stop, block):
        last = min(stop, first + block)
        own, g = room.z[thread.number, : (last - first) * count], made.g[first * count : last * count]
        for i in range(own.shape[0]):
            copy(weights.b2, own[i])
        multiply_rows(Numbers(g), m, room.packed_U, 0, vocabulary, own, True)  # z_k = g_k U + b2
        for r in range(first, last):
            at = (r - first) * count
            log_y = own[at]
            _log_mixture(own[at : at + count], made.log_pi[r], room.spare[thread.number], log_y)
            describe(log_y, targets[r], r, scores)
            scores.log_probability[r] = log_y[targets[r]]
            scores.alternative_log_probability[r] += scores.log_probability[r]


@parallel
def _mix(thread, z, log_pi, spare, log_y):
    """log y^ of each row (B x |V|) from its K rows of logits z (B K x |V|) and log pi (B x K). Each thread has its
    own rows and its own `spare` (2 x |V|)."""
    count = log_pi.shape[1]
    start, stop = partition(thread, log_y.shape[0], 1)
    for r in range(start, stop):
        _log_mixture(z[r * count : (r + 1) * count], log_pi[r], spare[thread.number], log_y[r])


@jit
def _log_mixture(z, log_pi, spare, log_y):
    """Writes log y^_j = log sum_k pi_k q_k,j (|V|) from one row's logits z (K x |V|, written over). The largest of
    the K is taken out first, so no probability is too small. log_pi: K; spare: 2 x |V|; log_y may be z[0]."""
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
    """log sum_j e^z_j of a row (|V|), in float64."""
    top = largest(row)
    total = row.dtype.type(0)
    for j in range(row.size):
        total += exp(row[j] - top)
    return np.float64(top) + math.log(np.float64(total))
