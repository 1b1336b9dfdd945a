"""The softmax of a small vocabulary, partitioned by rows.

Each thread has its own rows, and its own dU, which are added in their order. A block of rows goes through

    z2 = h U + b2 -> delta2 = y^ - y in place -> dh = delta2 U', dU += h' delta2, db2 += delta2

while it lies in the thread's cache.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from rnnlm.kernels.cpu import SMALL_SOFTMAX_BYTES
from rnnlm.kernels.elementwise.rows import add, clear, copy
from rnnlm.kernels.elementwise.softmax import exp_sum, largest
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_columns, multiply_rows
from rnnlm.kernels.matmul.layout import (
    Packed,
    block_of,
    depth,
    operand,
    panel,
    rows_of,
)
from rnnlm.kernels.matmul.pack import fill_columns, fill_rows, pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context
from rnnlm.network.outputs.softmax.weights import Block, Weights
from rnnlm.network.protocols import Array


class Intermediates(NamedTuple):
    """What the threads write to: their own (first index: the thread) and what all of them use. R: rows of a block."""

    packed_U: Packed  # panels of U
    packed_back: Packed  # panels of U'
    h_rows: Packed  # own: h packed by rows
    z: np.ndarray  # own: R x |V|: logits, then delta2
    z_rows: Packed  # own: the same packed by rows
    columns: Packed  # own: what dU is the product of: h by columns and z as panels, or where U is tied, z and h
    panels: Packed
    dU: np.ndarray  # as U, of thread 1 and those after it
    db2: np.ndarray  # own: |V|
    losses: np.ndarray  # own: the sum of J


def _intermediates(weights: Weights, block: int, context: Context) -> Intermediates:
    """Room for blocks of `block` rows."""
    (workspace, threads), tied = context, weights.tied
    hidden, vocabulary = weights.D_h, weights.V
    take = workspace.take
    return Intermediates(
        packed_U=workspace.panels("packed_U", hidden, vocabulary),
        packed_back=workspace.panels("packed_back", vocabulary, hidden),
        h_rows=workspace.rows("h_rows", threads, block, hidden),
        z=take("z", (threads, block, vocabulary)),
        z_rows=workspace.rows("z_rows", threads, block, vocabulary),
        columns=workspace.columns("columns", block, vocabulary if tied else hidden, threads),
        panels=workspace.panels("panels", block, hidden if tied else vocabulary, threads),
        dU=take("dU", (max(1, threads - 1), *weights.U.shape)),
        db2=take("db2", (threads, vocabulary)),
        losses=np.zeros(threads),
    )


def backward(rows: Block, weights: Weights, d_weights: Weights, dh: Array, scales: Array, context: Context) -> float:
    """Loss and gradients of ``sum of scale(t) J(t)`` over the rows; see ``protocols.OutputLayer.backward``.

    Returns:
        The sum of J, not scaled.
    """
    (count, hidden), item = rows.h.shape, rows.h.itemsize
    most = max(12, SMALL_SOFTMAX_BYTES // ((weights.V + hidden) * item))
    own = -(-count // context.threads)
    block = -(-own // -(-own // most))
    arrays = _intermediates(weights, block, context)
    _backward(context.threads, arrays, rows, weights, d_weights, dh, scales.astype(rows.h.dtype))
    return float(arrays.losses.sum())


@parallel
def _backward(thread, arrays, rows, weights, d_weights, dh, scales):
    """Writes dU, db2 and dh (N x D_h). Each thread has its own rows; then its own rows of dU, to add up."""
    (count, hidden), vocabulary = rows.h.shape, weights.b2.size
    width, block = panel(weights.b2.dtype.type(0)), arrays.z.shape[1]
    first, last = partition(thread, vocabulary, width)
    pack_panels(weights.U, weights.tied, first, last, hidden, arrays.packed_U)
    first, last = partition(thread, hidden, width)
    pack_panels(weights.U, not weights.tied, first, last, vocabulary, arrays.packed_back)
    clear(arrays.db2[thread.number])
    wait(thread)
    dU, db2 = d_weights.U, d_weights.b2
    own_dU = dU if thread.number == 0 else arrays.dU[thread.number - 1]
    start, stop = partition(thread, count, 2)
    if start == stop:
        own_dU[:] = 0
    for first in range(start, stop, block):
        last = min(stop, first + block)
        own = Block(rows.h[first:last], rows.targets[first:last])
        own_dh, own_scales = dh[first:last], scales[first:last]
        loss = _backward_block(thread, arrays, own, weights, own_dU, own_dh, own_scales, first > start)
        arrays.losses[thread.number] += loss
    wait(thread)
    first, last = partition(thread, dU.shape[0], 1)
    for i in range(first, last):
        for other in range(thread.threads - 1):
            add(arrays.dU[other, i], dU[i])
    if thread.number == 0:
        copy(arrays.db2[0], db2)
        for other in range(1, thread.threads):
            add(arrays.db2[other], db2)


@jit
def _backward_block(thread, arrays, rows, weights, dU, dh, scales, adds):
    """One block of one thread's rows; returns its loss. dU, the thread's, is added to when `adds`; dh: R x D_h."""
    h, (count, hidden), vocabulary = rows.h, rows.h.shape, weights.b2.size
    z, db2 = arrays.z[thread.number, :count], arrays.db2[thread.number]
    for r in range(count):
        copy(weights.b2, z[r])
    h_rows = block_of(arrays.h_rows, thread.number)
    fill_rows(h, 0, hidden, h_rows)
    h_operand = rows_of(operand(h, h_rows), 0, count)
    multiply_rows(h_operand, depth(arrays.packed_U, hidden), arrays.packed_U, 0, vocabulary, z, True)  # z2 = h U + b2
    loss = 0.0
    for r in range(count):
        loss -= delta2(z[r], rows.targets[r], scales[r], db2)
    # Undoes z2 = h U: dh = delta2 U' ...
    z_rows = block_of(arrays.z_rows, thread.number)
    fill_rows(z, 0, vocabulary, z_rows)
    delta2_operand = rows_of(operand(z, z_rows), 0, count)
    multiply_rows(delta2_operand, depth(arrays.packed_back, vocabulary), arrays.packed_back, 0, hidden, dh, False)
    # ... and dU += h' delta2.
    columns, panels = block_of(arrays.columns, thread.number), block_of(arrays.panels, thread.number)
    deep = depth(panels, count)
    if weights.tied:  # the same product, transposed
        fill_columns(z, columns)
        pack_panels(h, False, 0, hidden, count, panels)
        multiply_columns(columns, deep, panels, 0, hidden, dU, adds)
    else:
        fill_columns(h, columns)
        pack_panels(z, False, 0, vocabulary, count, panels)
        multiply_columns(columns, deep, panels, 0, vocabulary, dU, adds)
    return loss


@jit
def delta2(z, target, scale, db2):
    """z (|V|) becomes scale (y^ - y) and is added to db2; returns log y^_target."""
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
