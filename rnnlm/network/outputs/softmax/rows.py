"""The softmax of a small vocabulary, shared out by rows: each thread has its own rows, and its own dU, which are
added in their order. A block of rows goes through

    z2 = h U + b2 -> delta2 = y^ - y in place -> dh = delta2 U', dU += h' delta2, db2 += delta2

while it lies in the thread's cache. Rows of delta2 are padded to whole vectors, so that it is read as packed B as it
lies.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.cpu import SMALL_SOFTMAX_BYTES
from rnnlm.kernels.elementwise.rows import add, clear, copy
from rnnlm.kernels.elementwise.softmax import exp_sum, largest
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_columns, multiply_rows
from rnnlm.kernels.matmul.layout import depth, fill_columns, fill_rows, operand, pack_panels
from rnnlm.kernels.matmul.tile import columns_times_panel, panel
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel

if TYPE_CHECKING:
    from rnnlm.kernels.workspace import Workspace


class _Work(NamedTuple):
    """What the threads write to: their own (first index: the thread) and what they share. R: rows of a block."""

    packed_U: np.ndarray
    packed_back: np.ndarray  # U'
    h_rows: np.ndarray  # own: pairs of h
    h_columns: np.ndarray  # own
    h_panels: np.ndarray  # own: h packed, where U is tied
    z: np.ndarray  # own: R x |V|, padded: logits, then delta2
    z_rows: np.ndarray  # own: pairs of it
    z_columns: np.ndarray  # own
    dU: np.ndarray  # of thread 1 and those after it
    db2: np.ndarray  # own


def _work(h, U, vocabulary, tied, block, workspace: Workspace, threads) -> _Work:
    hidden, padded = h.shape[1], -(-vocabulary // LANES) * LANES
    take = workspace.take
    return _Work(
        packed_U=workspace.panels("packed_U", hidden, vocabulary),
        packed_back=workspace.panels("packed_back", vocabulary, hidden),
        h_rows=workspace.rows("h_rows", threads, block, hidden),
        h_columns=workspace.columns("h_columns", block, hidden, threads),
        h_panels=workspace.panels("h_panels", block, tied and hidden, threads),
        z=take("z", (threads, block, padded)),
        z_rows=workspace.rows("z_rows", threads, block, vocabulary),
        z_columns=workspace.columns("z_columns", block, padded, threads),
        dU=take("dU", (max(1, threads - 1), *U.shape)),
        db2=take("db2", (threads, vocabulary)),
    )


def backward(h, U, b2, tied, targets, scale, dU, db2, dh, workspace: Workspace, threads):
    """See ``outputs.softmax.backward``."""
    most = max(12, SMALL_SOFTMAX_BYTES // ((b2.size + h.shape[1]) * h.itemsize))
    own = -(-h.shape[0] // threads)
    block = -(-own // -(-own // most))
    losses = np.zeros(threads)
    w = _work(h, U, b2.size, tied, block, workspace, threads)
    _backward(threads, w, block, h, U, b2, tied, targets, scale, dU, db2, dh, losses)
    return float(losses.sum())


@parallel
def _backward(thread, w, block, h, U, b2, tied, targets, scale, dU, db2, dh, losses):
    hidden, vocabulary = h.shape[1], b2.size
    width = panel(b2.dtype.type(0))
    first, last = partition(thread, vocabulary, width)
    pack_panels(U, tied, first, last, hidden, w.packed_U)
    first, last = partition(thread, hidden, width)
    pack_panels(U, not tied, first, last, vocabulary, w.packed_back)
    clear(w.db2[thread.number])
    wait(thread)
    own_dU = dU if thread.number == 0 else w.dU[thread.number - 1]
    start, stop = partition(thread, h.shape[0], 2)
    if start == stop:
        own_dU[:] = 0
    for first in range(start, stop, block):
        last = min(stop, first + block)
        losses[thread.number] += _backward_block(
            thread,
            w,
            h[first:last],
            b2,
            tied,
            targets[first:last],
            scale,
            own_dU,
            dh[first:last],
            first > start,
        )
    wait(thread)
    first, last = partition(thread, dU.shape[0], 1)
    for i in range(first, last):
        for other in range(thread.threads - 1):
            add(w.dU[other, i], dU[i])
    if thread.number == 0:
        copy(w.db2[0], db2)
        for other in range(1, thread.threads):
            add(w.db2[other], db2)


@jit
def _backward_block(thread, w, h, b2, tied, targets, scale, dU, dh, adds):
    """One block of one thread's rows; returns its loss."""
    (rows, hidden), vocabulary = h.shape, b2.size
    z, db2 = w.z[thread.number, :rows], w.db2[thread.number]
    for r in range(rows):
        copy(b2, z[r, :vocabulary])
    fill_rows(h, 0, hidden, w.h_rows[thread.number])
    h_operand = operand(h, w.h_rows[thread.number])[:rows]
    multiply_rows(h_operand, depth(w.packed_U, hidden), w.packed_U, 0, vocabulary, z, True)  # z2 = h U + b2
    loss = 0.0
    for r in range(rows):
        loss -= _delta2(z[r, :vocabulary], targets[r], scale, db2)
    # Undoes z2 = h U: dh = delta2 U' ...
    fill_rows(z, 0, vocabulary, w.z_rows[thread.number])
    delta2 = operand(z, w.z_rows[thread.number])[:rows]
    multiply_rows(delta2, depth(w.packed_back, vocabulary), w.packed_back, 0, hidden, dh, False)
    # ... and dU += h' delta2.
    fill_columns(z, w.z_columns[thread.number])
    delta2 = operand(z, w.z_columns[thread.number])
    deep = depth(delta2, rows)
    if tied:  # the same product, transposed
        pack_panels(h, False, 0, hidden, rows, w.h_panels[thread.number])
        multiply_columns(delta2[:, :vocabulary], deep, w.h_panels[thread.number], 0, hidden, dU, adds)
    else:
        fill_columns(h, w.h_columns[thread.number])
        h_transposed = operand(h, w.h_columns[thread.number])
        padded = z.shape[1]
        flat = delta2.reshape(delta2.size)
        width = panel(flat.dtype.type(0))
        for j in range(0, vocabulary, width):
            columns = min(width, vocabulary - j)
            columns_times_panel(h_transposed, deep, flat[j:], padded, columns, dU[:, j:], adds)
    return loss


@jit
def _delta2(z, target, scale, db2):
    """z becomes scale (y^ - y) and is added to db2; returns log y^_target."""
    shift = largest(z)
    own = np.float64(z[target] - shift)
    total = exp_sum(z, shift)
    factor = scale / total
    for j in range(z.size):
        z[j] *= factor
        db2[j] += z[j]
    z[target] -= scale
    db2[target] -= scale
    return own - math.log(np.float64(total))
