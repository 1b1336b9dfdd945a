"""Exponentials of all logits, their sums S over a row, and in training exp_z U'.

exp_z = exp(z2 - s) of all columns.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from rnnlm.kernels.cpu import ROWS
from rnnlm.kernels.elementwise.exp_rows import exp_rows, lane_sum, lane_top
from rnnlm.kernels.elementwise.rows import clear
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.layout import (
    block_of,
    depth,
    in_place,
    operand,
    padded,
    panel,
    panel_at,
    panels_as_rows,
    rows_of,
)
from rnnlm.kernels.matmul.pack import clear_depths, fill_rows, pack_panels, panel_number
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.outputs.softmax.columns.panels import panel_logits, panels_times
from rnnlm.network.outputs.softmax.columns.workspace import Intermediates
from rnnlm.network.outputs.softmax.weights import Block, Weights

# e^60 times a vocabulary is still far from float32's largest number.
_FAR = 60.0
# An exp_z that is smaller may be the float's smallest number instead of what it should be.
_TINY = 1e-30


class _Group(NamedTuple):
    """Panels and rows that go through h U, exp and exp_z U' together."""

    first: int  # panels first ... stop
    stop: int
    low: int  # rows low ... high
    high: int
    begins: bool  # whether the panels are the thread's first


def compute(arrays: Intermediates, rows: Block, weights: Weights, training: bool, threads: int) -> None:
    """exp_z and each row's sum of it, with a shift that suits every row."""
    count = len(rows.h)
    _begin(threads, arrays, rows, weights, training)
    while True:
        _exponentials(threads, arrays, rows, weights, training)
        tops = arrays.tops[:, :count].max(axis=0)
        with np.errstate(invalid="ignore"):  # infinite logits: the loss will not be finite either
            far = tops - arrays.shift[:count] > _FAR
        if not far.any():
            return
        arrays.shift[:count][far] = tops[far]


@parallel
def _begin(thread, arrays, rows, weights, training):
    """What all threads read: b2 padded, h packed, and each row's largest logit in the first panel as shift."""
    (count, hidden), b2 = rows.h.shape, weights.b2
    width = panel(b2.dtype.type(0))
    if thread.number == 0:
        for j in range(arrays.bias.size):  # e^z2 is as good as 0 behind the last
            arrays.bias[j] = b2[j] if j < b2.size else b2.dtype.type(-1e30)
    low, high = partition(thread, count, ROWS)  # whole tiles
    fill_rows(rows.h[low:high], 0, hidden, rows_of(arrays.h_rows, low, high))
    packed_u, columns = block_of(arrays.packed_u, thread.number), min(width, b2.size)
    pack_panels(_columns_of(weights, 0, columns), weights.tied, 0, columns, hidden, packed_u)
    # In exp_z, which is free: each thread's rows of the first panel, or in scoring the thread's own panel.
    column, first = (0, low) if training else (thread.number * width, 0)
    logits = in_place(arrays.exp_z, arrays.z[thread.number], column, count, first, first + high - low)
    h = rows_of(operand(rows.h, arrays.h_rows), low, high)
    panel_logits(h, depth(packed_u, hidden), packed_u, columns, logits)
    for r in range(low, high):
        top = logits[(r - low) * width] + b2[0]
        for j in range(1, columns):
            top = max(top, logits[(r - low) * width + j] + b2[j])
        arrays.shift[r] = top


@jit
def _columns_of(weights, first, last):
    """Columns first ... last of U, or rows of U' where it is tied."""
    return weights.U[first:last] if weights.tied else weights.U[:, first:last]


@parallel
def _exponentials(thread, arrays, rows, weights, training):
    """Each thread's panels of exp_z with the sums over them, and in training its part of sum_j exp_z_j U_j'. In
    scoring every panel takes the place of the one before.

    A group of panels after the other; U's and U' columns of the group are packed, and then some rows after the other
    go through h U, exp_z and exp_z U', so that all of it stays in the second cache.
    """
    (count, hidden), vocabulary = rows.h.shape, weights.b2.size
    width = panel(arrays.bias.dtype.type(0))
    first, stop = partition(thread, arrays.bias.size // width, 1)
    packed_u, packed_back = block_of(arrays.packed_u, thread.number), block_of(arrays.packed_back, thread.number)
    arrays.lane_sums[thread.number, :] = 0
    arrays.lane_tops[thread.number, :] = -np.inf
    if training and first == stop:  # more threads than panels
        for r in range(count):
            clear(arrays.dh[thread.number, r])
    for begin in range(first, stop, arrays.group_panels):
        end = min(begin + arrays.group_panels, stop)
        columns = _columns_of(weights, begin * width, min(vocabulary, end * width))
        pack_panels(columns, weights.tied, 0, (end - begin) * width, hidden, packed_u)
        if training:
            pack_panels(columns, not weights.tied, 0, hidden, (end - begin) * width, packed_back)
        for low in range(0, count, arrays.group_rows):
            group = _Group(begin, end, low, min(low + arrays.group_rows, count), begin == first)
            _group_of_rows(thread, arrays, rows, vocabulary, training, group)
    lanes = width // 2
    for r in range(count):
        arrays.sums[thread.number, r] = lane_sum(arrays.lane_sums[thread.number], r * lanes, lanes)
        arrays.tops[thread.number, r] = lane_top(arrays.lane_tops[thread.number], r * lanes, lanes)


@jit
def _group_of_rows(thread, arrays, rows, vocabulary, training, group):
    """One group's exp_z, and in training exp_z U' of its panels."""
    (count, hidden), low, high = rows.h.shape, group.low, group.high
    h = rows_of(operand(rows.h, arrays.h_rows), low, high)
    width = panel(arrays.bias.dtype.type(0))
    lanes, deep = width // 2, depth(arrays.packed_u, hidden)
    exp_z_rows, packed_u = block_of(arrays.exp_z_rows, thread.number), block_of(arrays.packed_u, thread.number)
    lane_sums, lane_tops = arrays.lane_sums[thread.number], arrays.lane_tops[thread.number]
    for p in range(group.first, group.stop):
        column = p * width
        columns, place = min(width, vocabulary - column), column if training else thread.number * width
        own_u = panel_at(packed_u, column - group.first * width, hidden, 0)
        logits = in_place(arrays.exp_z, arrays.z[thread.number], place, count, low, high)
        panel_logits(h, deep, own_u, columns, logits)
        exp_rows(
            logits, high - low, arrays.bias[column:], arrays.shift[low:], lane_sums[low * lanes :],
            lane_tops[low * lanes :], panel_at(arrays.exp_z, place, count, low),
        )  # fmt: skip
        if training and high == count:
            clear_depths(panel_at(arrays.exp_z, place, count, 0), count, width)
        wide = padded(own_u, columns)
        for r in range(low, high):
            target = rows.targets[r] - column
            if 0 <= target < columns:
                arrays.own_exp_z[r] = logits[(r - low) * width + target]
                for k in range(hidden):
                    arrays.own_u[r, k] = panel_number(own_u, wide, k, target)
        if training:
            first = (p - group.first) * (high - low)
            own_rows = rows_of(exp_z_rows, first, first + high - low)
            fill_rows(logits.reshape((high - low, width)), 0, width, own_rows)
    if training:
        exp_z = panels_as_rows(arrays.exp_z, exp_z_rows, group.first * width, count, low, high)
        packed_back, dh = block_of(arrays.packed_back, thread.number), arrays.dh[thread.number, low:high, :hidden]
        panels_times(exp_z, group.stop - group.first, packed_back, dh, not group.begins)


@jit
def over_threads(sums, r):
    """S(t) of row r: the sum of `sums` (threads x R) over all threads' columns."""
    total = 0.0
    for thread in range(sums.shape[0]):
        total += sums[thread, r]
    return total


@jit
def log_probability_of(arrays, r, h, bias, log_sum):
    """log y^_x of row r, from exp_z_x, or where that is too small a number, from the logit itself. h: D_h; bias: b2
    of x; log_sum: log S."""
    if arrays.own_exp_z[r] > _TINY:
        return math.log(np.float64(arrays.own_exp_z[r])) - log_sum
    logit = np.float64(bias)
    for k in range(h.size):
        logit += np.float64(h[k]) * np.float64(arrays.own_u[r, k])
    return logit - np.float64(arrays.shift[r]) - log_sum


@parallel
def score(thread, arrays, rows, b2, log_probability):
    """Writes log y^_x of each row (R). Each thread has its own rows."""
    low, high = partition(thread, rows.h.shape[0], 1)
    for r in range(low, high):
        log_sum = math.log(over_threads(arrays.sums, r))
        log_probability[r] = log_probability_of(arrays, r, rows.h[r], b2[rows.targets[r]], log_sum)
