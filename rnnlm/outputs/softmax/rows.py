"""The softmax of a small vocabulary, shared out by rows: each worker has its own rows, and its own dU, which are
added in their order. A block of rows goes through

    z2 = h U + b2 -> e = exp(z2 - s) -> delta2 = e / S - y, in place -> dh = delta2 U', dU += h' delta2

while it lies in the worker's cache. s is the largest logit of the row's first panel, or if another one is far above
it, that."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.kernels.barrier import meet
from rnnlm.kernels.exponentials import exp_rows, lane_sum, lane_top
from rnnlm.kernels.jit import jit
from rnnlm.kernels.micro import columns_times_panel, panel
from rnnlm.kernels.packing import depth, fill_columns, fill_rows, operand, pack_panels
from rnnlm.kernels.product import multiply_columns
from rnnlm.kernels.shares import share
from rnnlm.kernels.team import parallel
from rnnlm.outputs.softmax.panels import by_columns, by_rows, panel_logits, panel_width, panels_times

if TYPE_CHECKING:
    from rnnlm.buffers import Buffers

# Bytes of a block: its rows of h and of e stay in a core's second cache.
_HELD = 512 << 10
# e^60 times a vocabulary is still far from float32's largest number.
_FAR = 60.0
# An e that is smaller may be the float's smallest number instead of what it should be.
_TINY = 1e-30


class _Work(NamedTuple):
    """What the workers write to: their own (first index: the worker) and what they share. R: rows of a block."""

    bias: np.ndarray  # b2, and enough below it to fill the last panel
    packed_U: np.ndarray
    packed_back: np.ndarray  # U'
    h_rows: np.ndarray  # own: pairs of h
    h_columns: np.ndarray  # own
    h_panels: np.ndarray  # own: h packed, where U is tied
    e: np.ndarray  # own: all panels of e, later of delta2
    e_rows: np.ndarray  # own: pairs of it
    e_columns: np.ndarray  # own
    lane_sums: np.ndarray  # own: R x a vector
    lane_tops: np.ndarray  # own
    shift: np.ndarray  # own: R; later scale / S
    dU: np.ndarray  # of worker 1 and those after it
    db2: np.ndarray  # own


def _work(h, U, vocabulary, tied, block, buffers: Buffers, workers) -> _Work:
    hidden, width = h.shape[1], panel_width(h.dtype)
    panels, pairs = -(-vocabulary // width), buffers.packed == np.uint32
    deep, column_pairs = (-(-block // 2), panels * -(-block // 2) * width) if pairs else (0, 0)
    take, packed = buffers.take, buffers.packed
    return _Work(
        bias=take("bias", (panels * width,)),
        packed_U=buffers.panels("packed_U", hidden, panels * width),
        packed_back=buffers.panels("packed_back", panels * width, hidden),
        h_rows=buffers.rows("h_rows", workers, block, hidden),
        h_columns=take("h_columns", (workers, deep, hidden if pairs else 0), packed),
        h_panels=buffers.panels("h_panels", block, tied and hidden, workers),
        e=take("e", (workers, panels * block * width)),
        e_rows=take("e_rows", (workers, panels * block * width // 2 if pairs else 0), packed),
        e_columns=take("e_columns", (workers, column_pairs), packed),
        lane_sums=take("lane_sums", (workers, block * width // 2)),
        lane_tops=take("lane_tops", (workers, block * width // 2)),
        shift=take("shift", (workers, block)),
        dU=take("dU", (max(1, workers - 1), *U.shape)),
        db2=take("db2", (workers, panels * width)),
    )


def backward(h, U, b2, tied, targets, scale, dU, db2, dh, buffers: Buffers, workers):
    """See ``outputs.softmax.backward``."""
    width = panel_width(h.dtype)
    most = max(12, _HELD // ((-(-b2.size // width) * width + h.shape[1]) * h.itemsize))
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
    panels = w.bias.size // width
    first, last = share(worker, workers, panels, 1)
    pack_panels(U, tied, first * width, min(vocabulary, last * width), hidden, w.packed_U)
    first, last = share(worker, workers, hidden, width)
    pack_panels(U, not tied, first, last, panels * width, w.packed_back)
    if worker == 0:
        for j in range(w.bias.size):  # e^z2 is as good as 0 behind the last
            w.bias[j] = b2[j] if j < vocabulary else b2.dtype.type(-1e30)
    for j in range(w.bias.size):
        w.db2[worker, j] = 0
    meet(meetings, worker, workers)
    own_dU = dU if worker == 0 else w.dU[worker - 1]
    start, stop = share(worker, workers, h.shape[0], 2)
    if start == stop:
        own_dU[:] = 0
    for first in range(start, stop, block):
        last = min(stop, first + block)
        losses[worker] += _backward_block(
            worker, w, h[first:last], U, vocabulary, tied, targets[first:last], scale, own_dU, dh[first:last],
            first > start,
        )  # fmt: skip
    meet(meetings, worker, workers)
    first, last = share(worker, workers, dU.shape[0], 1)
    for i in range(first, last):
        for other in range(workers - 1):
            for j in range(dU.shape[1]):
                dU[i, j] += w.dU[other, i, j]
    if worker == 0:
        for j in range(vocabulary):
            db2[j] = w.db2[0, j]
            for other in range(1, workers):
                db2[j] += w.db2[other, j]


@jit
def _backward_block(worker, w, h, U, vocabulary, tied, targets, scale, dU, dh, add):
    """One block of one worker's rows; returns its loss."""
    rows, hidden = h.shape
    width = panel(w.bias.dtype.type(0))
    panels, size, lanes = w.bias.size // width, rows * width, width // 2
    e, shift, lane_sums, db2 = w.e[worker], w.shift[worker], w.lane_sums[worker], w.db2[worker]
    fill_rows(h, 0, hidden, w.h_rows[worker])
    h_operand = operand(h, w.h_rows[worker])[:rows]
    _exponentials(h_operand, hidden, vocabulary, w.bias, w.packed_U, rows, e, lane_sums, w.lane_tops[worker], shift)
    loss = 0.0
    for r in range(rows):
        target = targets[r]
        whole = lane_sum(lane_sums, r * lanes, lanes)
        own = e[target // width * size + r * width + target % width]
        if own > _TINY:
            loss += math.log(whole) - math.log(np.float64(own))
        else:
            loss += math.log(whole) - _logit(h[r], U, tied, w.bias[target], target) + np.float64(shift[r])
        shift[r] = scale / whole  # what e becomes y^ with
    e_rows, e_columns = w.e_rows[worker], w.e_columns[worker]
    deep, row_size = depth(e_columns, rows), rows * depth(e_rows, width)
    column_size = deep * width
    for p in range(panels):
        own_panel = e[p * size : (p + 1) * size]
        _delta2(own_panel, rows, targets, p * width, shift, scale, db2[p * width : (p + 1) * width])
        by_rows(own_panel, rows, e_rows[p * row_size :])
        by_columns(own_panel, rows, e_columns[p * column_size :])
    delta2 = operand(e, e_rows)[: panels * row_size]
    panels_times(delta2, row_size, rows, panels, w.packed_back, hidden, dh, False)  # undoes z2 = h U: dh = delta2 U'
    delta2 = operand(e, e_columns)
    if tied:
        pack_panels(h, False, 0, hidden, rows, w.h_panels[worker])
    else:
        fill_columns(h, w.h_columns[worker])
    for p in range(panels):
        column = p * width
        columns = min(width, vocabulary - column)
        own = delta2[p * column_size : (p + 1) * column_size]
        if tied:  # the same product, transposed
            by_token = own.reshape((deep, width))[:, :columns]
            multiply_columns(by_token, deep, w.h_panels[worker], 0, hidden, dU[column : column + columns], add)
        else:  # dU += h' delta2
            h_transposed = operand(h, w.h_columns[worker])
            columns_times_panel(h_transposed, deep, own, width, columns, dU[:, column:], add)
    return loss


@jit
def _exponentials(h, hidden, vocabulary, bias, packed_U, rows, e, lane_sums, lane_tops, shift):
    """All panels of e = exp(z2 - shift), and with them shift and the lanes of each row's sum."""
    width = panel(bias.dtype.type(0))
    deep, size, lanes = depth(packed_U, hidden), rows * width, width // 2
    begun = again = False
    while again or not begun:
        lane_sums[:] = 0
        lane_tops[:] = -np.inf
        for p in range(bias.size // width):
            column = p * width
            columns = min(width, vocabulary - column)
            wide = width if columns > lanes else lanes
            z = e[p * size : (p + 1) * size]
            panel_logits(h, deep, packed_U[column * deep : column * deep + wide * deep], z)
            if not begun:
                begun = True
                for r in range(rows):
                    shift[r] = z[r * width] + bias[0]
                    for j in range(1, columns):
                        shift[r] = max(shift[r], z[r * width + j] + bias[j])
            exp_rows(z, rows, bias[column:], shift, lane_sums, lane_tops)
        again = False
        for r in range(rows):
            top = lane_top(lane_tops, r * lanes, lanes)
            if top - shift[r] > _FAR:
                shift[r] = top
                again = True


@jit
def _delta2(e, rows, targets, column, factors, scale, db2):
    """A panel of e becomes scale (y^ - y) and is added to db2."""
    width = panel(e.dtype.type(0))
    for r in range(rows):
        for j in range(width):
            e[r * width + j] *= factors[r]
        if 0 <= targets[r] - column < width:
            e[r * width + targets[r] - column] -= scale
        for j in range(width):
            db2[j] += e[r * width + j]


@jit
def _logit(h, U, tied, bias, target):
    """z2_x of one row, in float64."""
    logit = np.float64(bias)
    for k in range(h.size):
        logit += np.float64(h[k]) * np.float64(U[target, k] if tied else U[k, target])
    return logit
