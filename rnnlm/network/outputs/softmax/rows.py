"""The softmax of a small vocabulary, shared out by rows: each worker has its own rows, and its own dU, which are
added in their order. A block of rows goes through

    z2 = h U + b2 -> delta2 = y^ - y in place -> dh = delta2 U', dU += h' delta2, db2 += delta2

while it lies in the worker's cache. Rows of delta2 are padded to whole vectors, so that it is read as packed B as it
lies.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise.functions import exp_sum, largest
from rnnlm.kernels.elementwise.rows import add, clear, copy
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_columns, multiply_rows
from rnnlm.kernels.matmul.layout import depth, fill_columns, fill_rows, operand, pack_panels
from rnnlm.kernels.matmul.tile import columns_times_panel, panel
from rnnlm.kernels.parallel.barrier import meet
from rnnlm.kernels.parallel.partition import share
from rnnlm.kernels.parallel.thread_pool import parallel

if TYPE_CHECKING:
    from rnnlm.kernels.workspace import Buffers

# Bytes of a block: its rows of h and of delta2 stay in a core's second cache.
_HELD = 512 << 10


class _Work(NamedTuple):
    """What the workers write to: their own (first index: the worker) and what they share. R: rows of a block."""

    packed_U: np.ndarray
    packed_back: np.ndarray  # U'
    h_rows: np.ndarray  # own: pairs of h
    h_columns: np.ndarray  # own
    h_panels: np.ndarray  # own: h packed, where U is tied
    z: np.ndarray  # own: R x |V|, padded: logits, then delta2
    z_rows: np.ndarray  # own: pairs of it
    z_columns: np.ndarray  # own
    dU: np.ndarray  # of worker 1 and those after it
    db2: np.ndarray  # own


def _work(h, U, vocabulary, tied, block, buffers: Buffers, workers) -> _Work:
    hidden, padded = h.shape[1], -(-vocabulary // LANES) * LANES
    take = buffers.take
    return _Work(
        packed_U=buffers.panels("packed_U", hidden, vocabulary),
        packed_back=buffers.panels("packed_back", vocabulary, hidden),
        h_rows=buffers.rows("h_rows", workers, block, hidden),
        h_columns=buffers.columns("h_columns", block, hidden, workers),
        h_panels=buffers.panels("h_panels", block, tied and hidden, workers),
        z=take("z", (workers, block, padded)),
        z_rows=buffers.rows("z_rows", workers, block, vocabulary),
        z_columns=buffers.columns("z_columns", block, padded, workers),
        dU=take("dU", (max(1, workers - 1), *U.shape)),
        db2=take("db2", (workers, vocabulary)),
    )


def backward(h, U, b2, tied, targets, scale, dU, db2, dh, buffers: Buffers, workers):
    """See ``outputs.softmax.backward``."""
    most = max(12, _HELD // ((b2.size + h.shape[1]) * h.itemsize))
    own = -(-h.shape[0] // workers)
    block = -(-own // -(-own // most))
    losses = np.zeros(workers)
    w = _work(h, U, b2.size, tied, block, buffers, workers)
    _backward(workers, w, block, h, U, b2, tied, targets, scale, dU, db2, dh, losses)
    return float(losses.sum())


@parallel
def _backward(worker, workers, meetings, w, block, h, U, b2, tied, targets, scale, dU, db2, dh, losses):
    hidden, vocabulary = h.shape[1], b2.size
    width = panel(b2.dtype.type(0))
    first, last = share(worker, workers, vocabulary, width)
    pack_panels(U, tied, first, last, hidden, w.packed_U)
    first, last = share(worker, workers, hidden, width)
    pack_panels(U, not tied, first, last, vocabulary, w.packed_back)
    clear(w.db2[worker])
    meet(meetings, worker, workers)
    own_dU = dU if worker == 0 else w.dU[worker - 1]
    start, stop = share(worker, workers, h.shape[0], 2)
    if start == stop:
        own_dU[:] = 0
    for first in range(start, stop, block):
        last = min(stop, first + block)
        losses[worker] += _backward_block(
            worker, w, h[first:last], b2, tied, targets[first:last], scale, own_dU, dh[first:last], first > start
        )
    meet(meetings, worker, workers)
    first, last = share(worker, workers, dU.shape[0], 1)
    for i in range(first, last):
        for other in range(workers - 1):
            add(w.dU[other, i], dU[i])
    if worker == 0:
        copy(w.db2[0], db2)
        for other in range(1, workers):
            add(w.db2[other], db2)


@jit
def _backward_block(worker, w, h, b2, tied, targets, scale, dU, dh, adds):
    """One block of one worker's rows; returns its loss."""
    (rows, hidden), vocabulary = h.shape, b2.size
    z, db2 = w.z[worker, :rows], w.db2[worker]
    for r in range(rows):
        copy(b2, z[r, :vocabulary])
    fill_rows(h, 0, hidden, w.h_rows[worker])
    h_operand = operand(h, w.h_rows[worker])[:rows]
    multiply_rows(h_operand, depth(w.packed_U, hidden), w.packed_U, 0, vocabulary, z, True)  # z2 = h U + b2
    loss = 0.0
    for r in range(rows):
        loss -= _delta2(z[r, :vocabulary], targets[r], scale, db2)
    # Undoes z2 = h U: dh = delta2 U' ...
    fill_rows(z, 0, vocabulary, w.z_rows[worker])
    delta2 = operand(z, w.z_rows[worker])[:rows]
    multiply_rows(delta2, depth(w.packed_back, vocabulary), w.packed_back, 0, hidden, dh, False)
    # ... and dU += h' delta2.
    fill_columns(z, w.z_columns[worker])
    delta2 = operand(z, w.z_columns[worker])
    deep = depth(delta2, rows)
    if tied:  # the same product, transposed
        pack_panels(h, False, 0, hidden, rows, w.h_panels[worker])
        multiply_columns(delta2[:, :vocabulary], deep, w.h_panels[worker], 0, hidden, dU, adds)
    else:
        fill_columns(h, w.h_columns[worker])
        h_transposed = operand(h, w.h_columns[worker])
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
