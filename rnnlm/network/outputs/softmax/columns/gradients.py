"""Gradients of a block of rows, once the sums S are there.

dJ/dh = (exp_z U') / S - U_x' and, with g = scale / S, dJ/dU = sum_t g(t) h(t)' (exp_z(t) - S(t) y(t)),
dJ/db2 = sum_t g(t) (exp_z(t) - S(t) y(t)).
"""

from __future__ import annotations

import math

from rnnlm.kernels.matmul.gemm import (
    columns_times_panel,
    multiply_columns,
    rows_times_panel,
    stream_columns_times_panel,
)
from rnnlm.kernels.matmul.layout import block_of, depth, depth_grain, depths_of, operand, panel, panel_at
from rnnlm.kernels.matmul.pack import fill_columns, fill_rows, pack_panels, panel_as_columns, subtract
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.outputs.softmax.columns.exponentials import log_probability_of, over_threads


@parallel
def of_h(thread, arrays, rows, weights, dh, losses):
    """dJ/dh (R x D_h), the sum of J of each thread's rows, and g h for dJ/dU: as it is and packed by columns."""
    (count, hidden), b2 = rows.h.shape, weights.b2
    low, high = partition(thread, count, depth_grain(arrays.exp_z))
    for r in range(low, high):
        scale, whole = arrays.scales[r], over_threads(arrays.sums, r)
        factor = dh.dtype.type(scale / whole)
        arrays.whole[r], arrays.factors[0, r] = whole, factor
        for k in range(hidden):
            dh[r, k] = factor * arrays.dh[0, r, k] - scale * arrays.own_u[r, k]
            arrays.scaled[r, k] = factor * rows.h[r, k]
        for other in range(1, thread.threads):
            for k in range(hidden):
                dh[r, k] += factor * arrays.dh[other, r, k]
        losses[thread.number] -= log_probability_of(arrays, r, rows.h[r], b2[rows.targets[r]], math.log(whole))
    fill_rows(arrays.factors[:, :count], low, high, arrays.factor_rows)
    if not weights.tied:
        fill_columns(arrays.scaled[low:high], depths_of(arrays.scaled_columns, low, high))


@parallel
def of_weights(thread, arrays, targets, d_weights, add):
    """dU and db2 of each thread's panels, added to what is there when `add`. targets: R."""
    dU, db2 = d_weights.U, d_weights.b2
    width = panel(db2.dtype.type(0))
    first, stop = partition(thread, arrays.bias.size // width, 1)
    rows, vocabulary, hidden = targets.size, db2.size, arrays.own_u.shape[1]
    deep = depth(arrays.exp_z, rows)
    for r in range(rows):
        if first * width <= targets[r] < stop * width:
            subtract(arrays.exp_z, targets[r], rows, r, arrays.whole[r])
    g, gh = operand(arrays.factors, arrays.factor_rows), arrays.scaled_columns
    db2_row = db2.reshape((1, vocabulary))
    scaled_panels = block_of(arrays.scaled_panels, thread.number)
    panel_columns = block_of(arrays.panel_columns, thread.number)
    if d_weights.tied:
        pack_panels(arrays.scaled[:rows], False, 0, hidden, rows, scaled_panels)
    for p in range(first, stop):
        column = p * width
        columns = min(width, vocabulary - column)
        own = panel_at(arrays.exp_z, column, rows, 0)
        rows_times_panel(g, deep, own, width, columns, db2_row[:, column:], add)
        if d_weights.tied:
            own_columns = panel_as_columns(arrays.exp_z, panel_columns, column, rows, columns)
            multiply_columns(own_columns, deep, scaled_panels, 0, hidden, dU[column : column + columns], add)
        elif add:
            columns_times_panel(gh, deep, own, width, columns, dU[:, column:], True)
        else:  # it is read again for its norm, when all of it is there
            stream_columns_times_panel(gh, deep, own, width, columns, dU[:, column:])
