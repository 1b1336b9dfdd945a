"""The softmax of a large vocabulary, shared out by columns. With s(t) any number near the largest z2(t),
e(t) = exp(z2(t) - s(t)) and S(t) = sum_j e_j(t),

    y^ = e / S      dJ/dh = (e U') / S - U_x'      dJ/dU = sum_t (h / S)' (e - S y)

so the matrix e is all that there is of z2, y^ and delta2: each panel of columns goes from h U to e and on to e U'
while it lies in the processor's cache (`_exponentials`), and, when S is known, to dU (`_weights_back`). s is the
largest logit of the row's first panel; in the rare case that a row has one far above it, all is done again with that.

When S is known, and with it y^_x, each row can still be given a weight of its own: that is all that a mixture of such
softmaxes needs (``outputs.mixture``)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from rnnlm.kernels import cpu
from rnnlm.kernels.cpu import ROWS, SOFTMAX_PANELS, SOFTMAX_ROWS
from rnnlm.kernels.elementwise.exp_rows import exp_rows, lane_sum, lane_top
from rnnlm.kernels.elementwise.rows import clear
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_columns
from rnnlm.kernels.matmul.layout import depth, fill_columns, fill_rows, operand, pack_panels, padded
from rnnlm.kernels.matmul.tile import columns_times_panel, panel, rows_times_panel
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.outputs.softmax.panels import (
    by_rows,
    packed_number,
    panel_logits,
    panel_width,
    panels_times,
    subtract,
)

if TYPE_CHECKING:
    from rnnlm.kernels.workspace import Workspace

# (rows of a block, log y^_x of each, weights to write) -> None
Weigh = Callable[[slice, np.ndarray, np.ndarray], None]

# e^60 times a vocabulary is still far from float32's largest number.
_FAR = 60.0
# An e that is smaller may be the float's smallest number instead of what it should be.
_TINY = 1e-30


class _Work(NamedTuple):
    """What the threads write to: their own (first index: the thread) and what they share. R: rows of a block."""

    bias: np.ndarray  # b2, and enough below it to fill the last panel
    h_rows: np.ndarray  # pairs of h
    packed_u: np.ndarray  # own: a group of panels of U
    packed_back: np.ndarray  # own: a group's U'
    z: np.ndarray  # own: a panel of logits, where e has pairs
    e: np.ndarray  # flat: all panels of e as packed B; in scoring one a thread
    e_rows: np.ndarray  # own: pairs of a group of panels by rows
    lane_sums: np.ndarray  # own: R x a vector
    lane_tops: np.ndarray
    sums: np.ndarray  # own: R; sum_j e_j of the thread's columns
    tops: np.ndarray  # own: R; the largest logit there
    shift: np.ndarray  # R
    own_e: np.ndarray  # R: e_x
    own_u: np.ndarray  # R x D_h: column x of U
    dh: np.ndarray  # own: R x D_h; sum_j e_j U_j'
    scales: np.ndarray  # R: what each row's loss counts for
    log_y: np.ndarray  # R: log y^_x, where that depends on it
    factors: np.ndarray  # R: scale / S
    factor_rows: np.ndarray
    whole: np.ndarray  # R: S
    scaled: np.ndarray  # R x D_h: h / S
    scaled_columns: np.ndarray
    scaled_panels: np.ndarray  # own: h / S packed, where U is tied


def _work(h, vocabulary, tied, block, training, workspace: Workspace, threads) -> _Work:
    hidden, width = h.shape[1], panel_width(h.dtype)
    panels, pairs = -(-vocabulary // width), workspace.packed == np.uint32
    deep, block_deep = ((hidden + 1) // 2, (block + 1) // 2) if pairs else (hidden, block)
    kept = block if training else 0
    take, packed = workspace.take, workspace.packed
    return _Work(
        bias=take("bias", (panels * width,)),
        h_rows=workspace.rows("h_rows", block, hidden),
        packed_u=take("packed_u", (threads, SOFTMAX_PANELS * deep * width), packed),
        packed_back=workspace.panels("packed_back", SOFTMAX_PANELS * width, kept and hidden, threads),
        z=take("z", (threads, max(SOFTMAX_ROWS, -(-block // threads) + ROWS) * width if pairs else 0)),
        e=take("e", ((panels if training else threads) * width * block_deep,), packed),
        e_rows=take("e_rows", (threads, SOFTMAX_PANELS * SOFTMAX_ROWS * width // 2 if pairs else 0), packed),
        lane_sums=take("lane_sums", (threads, block * width // 2)),
        lane_tops=take("lane_tops", (threads, block * width // 2)),
        sums=take("sums", (threads, block), np.float64),
        tops=take("tops", (threads, block), np.float64),
        shift=take("shift", (block,)),
        own_e=take("own_e", (block,)),
        own_u=take("own_u", (block, hidden)),
        dh=take("dh", (threads, kept, hidden)),
        scales=take("scales", (block,)),
        log_y=take("log_y", (block,), np.float64),
        factors=take("factors", (1, block)),
        factor_rows=workspace.rows("factor_rows", 1, block),
        whole=take("whole", (block,)),
        scaled=take("scaled", (kept, hidden)),
        scaled_columns=workspace.columns("scaled_columns", kept, hidden),
        scaled_panels=workspace.panels("scaled_panels", kept, tied and hidden, threads),
    )  # fmt: skip


def forward(h, U, b2, tied, targets, log_probability, workspace: Workspace, threads):
    """Writes log y^ of each target."""
    block = min(h.shape[0], cpu.SCORED_ROWS)
    w = _work(h, b2.size, tied, block, False, workspace, threads)
    for start in range(0, h.shape[0], block):
        rows = slice(start, start + block)
        _all_exponentials(w, h[rows], U, b2, tied, targets[rows], False, threads)
        _score(threads, w, h[rows], b2, targets[rows], log_probability[rows])


def backward(
    h, U, b2, tied, targets, scale, dU, db2, dh, workspace: Workspace, threads, weigh: Weigh | None = None, together=1
):
    """See ``outputs.softmax.backward``.

    Args:
        weigh: None, or what gives each row a weight in place of `scale`: called block after block with the block's
            rows (a slice), log y^_x of each of them, and the array to write the weights to. The loss that is
            returned is without them.
        together: rows that must be in one block, so that they can be weighed together; their number divides N.
    """
    groups = h.shape[0] // together
    most = max(64, min(cpu.SOFTMAX_BYTES // (b2.size * h.itemsize), cpu.SOFTMAX_H_BYTES // (h.shape[1] * h.itemsize)))
    block = -(-groups // -(-groups // max(1, most // together))) * together
    w = _work(h, b2.size, tied, block, True, workspace, threads)
    losses = np.zeros(threads)
    w.scales[:] = scale
    for start in range(0, h.shape[0], block):
        rows = slice(start, min(start + block, h.shape[0]))
        _all_exponentials(w, h[rows], U, b2, tied, targets[rows], True, threads)
        if weigh is not None:
            log_y = w.log_y[: rows.stop - start]
            _score(threads, w, h[rows], b2, targets[rows], log_y)
            weigh(rows, log_y, w.scales)
        _hidden_back(threads, w, h[rows], b2, tied, targets[rows], dh[rows], losses)
        _weights_back(threads, w, tied, targets[rows], dU, db2, start > 0)
    return float(losses.sum())


def _all_exponentials(w, h, U, b2, tied, targets, training, threads):
    """e = exp(z2 - shift) and each row's sum of them, with a shift that suits every row."""
    rows = h.shape[0]
    _begin(threads, w, h, U, b2, tied, training)
    while True:
        _exponentials(threads, w, h, U, b2.size, tied, targets, training)
        tops = w.tops[:, :rows].max(axis=0)
        with np.errstate(invalid="ignore"):  # infinite logits: the loss will not be finite either
            far = tops - w.shift[:rows] > _FAR
        if not far.any():
            return
        w.shift[:rows][far] = tops[far]


@parallel
def _begin(thread, w, h, U, b2, tied, training):
    """What all threads read: b2 padded, the pairs of h, and each row's largest logit in the first panel as shift."""
    rows, hidden = h.shape
    width = panel(b2.dtype.type(0))
    if thread.number == 0:
        for j in range(w.bias.size):  # e^z2 is as good as 0 behind the last
            w.bias[j] = b2[j] if j < b2.size else b2.dtype.type(-1e30)
    low, high = partition(thread, rows, ROWS)  # whole tiles
    fill_rows(h[low:high], 0, hidden, w.h_rows[low:high])
    place = low if training else thread.number * rows  # in e, which is free
    logits = _own(w.e, w.z[thread.number], place * width, (high - low) * width)
    columns, deep = min(width, b2.size), depth(w.packed_u, hidden)
    packed_u = w.packed_u[thread.number, : deep * padded(w.packed_u[thread.number], columns)]
    pack_panels(_columns_of(U, tied, 0, columns), tied, 0, columns, hidden, packed_u)
    panel_logits(operand(h, w.h_rows)[low:high], deep, packed_u, logits)
    for r in range(low, high):
        top = logits[(r - low) * width] + b2[0]
        for j in range(1, columns):
            top = max(top, logits[(r - low) * width + j] + b2[j])
        w.shift[r] = top


def _own(e, scratch, start, size):
    """e[start : start + size], or where e has pairs, the scratch array's beginning."""
    raise NotImplementedError("for kernels only")


@overload(_own)
def _own_impl(e, scratch, start, size):
    if e.dtype == types.uint32:
        return lambda e, scratch, start, size: scratch[:size]
    return lambda e, scratch, start, size: e[start : start + size]


def _step(e, size, row_size):
    """From one panel to the next in what `_own` gives for a group of panels."""
    raise NotImplementedError("for kernels only")


@overload(_step, inline="always")
def _step_impl(e, size, row_size):
    if e.dtype == types.uint32:
        return lambda e, size, row_size: row_size
    return lambda e, size, row_size: size


@jit
def _columns_of(U, tied, first, last):
    return U[first:last] if tied else U[:, first:last]


@parallel
def _exponentials(thread, w, h, U, vocabulary, tied, targets, training):
    """Each thread's panels of e with the sums over them, and in training its part of sum_j e_j U_j'. In scoring every
    panel takes the place of the one before.

    A group of panels after the other; U's and U' columns of the group are packed, and then some rows after the other
    go through h U, e and e U', so that all of it stays in the second cache.
    """
    rows, hidden = h.shape
    width = panel(w.bias.dtype.type(0))
    first, stop = partition(thread, w.bias.size // width, 1)
    packed_u, packed_back = w.packed_u[thread.number], w.packed_back[thread.number]
    w.lane_sums[thread.number, :] = 0
    w.lane_tops[thread.number, :] = -np.inf
    if training and first == stop:  # more threads than panels
        for r in range(rows):
            clear(w.dh[thread.number, r])
    for group in range(first, stop, SOFTMAX_PANELS):
        end = min(group + SOFTMAX_PANELS, stop)
        columns = _columns_of(U, tied, group * width, min(vocabulary, end * width))
        pack_panels(columns, tied, 0, (end - group) * width, hidden, packed_u)
        if training:
            pack_panels(columns, not tied, 0, hidden, (end - group) * width, packed_back)
        for low in range(0, rows, SOFTMAX_ROWS):
            high = min(low + SOFTMAX_ROWS, rows)
            _group_of_rows(thread, w, h, vocabulary, targets, training, group, end, low, high)
    lanes = width // 2
    for r in range(rows):
        w.sums[thread.number, r] = lane_sum(w.lane_sums[thread.number], r * lanes, lanes)
        w.tops[thread.number, r] = lane_top(w.lane_tops[thread.number], r * lanes, lanes)


@jit
def _group_of_rows(thread, w, h, vocabulary, targets, training, group, end, low, high):
    """Panels group ... end of e and of e U', for rows low ... high."""
    rows, hidden = h.shape
    h_operand = operand(h, w.h_rows)[low:high]
    width = panel(w.bias.dtype.type(0))
    lanes, deep = width // 2, depth(w.packed_u, hidden)
    size = depth(w.e, rows) * width  # of a panel as packed B
    before = depth(w.e, low) * width  # of it, of earlier rows
    row_size = (high - low) * depth(w.e_rows, width)  # of a panel by rows
    e_rows, lane_sums, lane_tops = w.e_rows[thread.number], w.lane_sums[thread.number], w.lane_tops[thread.number]
    for p in range(group, end):
        column = p * width
        columns = min(width, vocabulary - column)
        wide = padded(w.packed_u[thread.number], columns)
        packed = w.packed_u[thread.number, (p - group) * deep * width : (p - group) * deep * width + deep * wide]
        at = (p if training else thread.number) * size + before
        logits = _own(w.e, w.z[thread.number], at, (high - low) * width)
        panel_logits(h_operand, deep, packed, logits)
        exp_rows(
            logits, high - low, w.bias[column:], w.shift[low:], lane_sums[low * lanes :], lane_tops[low * lanes :],
            w.e[at:],
        )  # fmt: skip
        for r in range(low, high):
            place = targets[r] - column
            if 0 <= place < columns:
                w.own_e[r] = logits[(r - low) * width + place]
                for k in range(hidden):
                    w.own_u[r, k] = packed_number(packed, k, wide, place)
        if training:
            by_rows(logits, high - low, e_rows[(p - group) * row_size :])
    if training:
        count, add = end - group, group > partition(thread, w.bias.size // width, 1)[0]
        step = _step(w.e, size, row_size)
        e_group = _own(w.e, e_rows, group * size + before, (count - 1) * step + row_size)
        panels_times(
            e_group, step, high - low, count, w.packed_back[thread.number], hidden, w.dh[thread.number, low:high], add
        )


@jit
def _over_workers(sums, r):
    """S(t): the sum over all threads' columns."""
    total = 0.0
    for thread in range(sums.shape[0]):
        total += sums[thread, r]
    return total


@jit
def _log_probability(w, r, h, bias, log_sum):
    """log y^_x: from e_x, or where that is too small a number, from the logit itself."""
    if w.own_e[r] > _TINY:
        return math.log(np.float64(w.own_e[r])) - log_sum
    logit = np.float64(bias)
    for k in range(h.size):
        logit += np.float64(h[k]) * np.float64(w.own_u[r, k])
    return logit - np.float64(w.shift[r]) - log_sum


@parallel
def _score(thread, w, h, b2, targets, log_probability):
    low, high = partition(thread, h.shape[0], 1)
    for r in range(low, high):
        log_probability[r] = _log_probability(w, r, h[r], b2[targets[r]], math.log(_over_workers(w.sums, r)))


@parallel
def _hidden_back(thread, w, h, b2, tied, targets, dh, losses):
    """dJ/dh = (e U') / S - U_x', the loss, and g h with g = scale / S for dJ/dU: as it is, or where products read
    pairs, as pairs."""
    rows, hidden = h.shape
    low, high = partition(thread, rows, 2)
    for r in range(low, high):
        scale, whole = w.scales[r], _over_workers(w.sums, r)
        factor = h.dtype.type(scale / whole)
        w.whole[r], w.factors[0, r] = whole, factor
        for k in range(hidden):
            dh[r, k] = factor * w.dh[0, r, k] - scale * w.own_u[r, k]
            w.scaled[r, k] = factor * h[r, k]
        for other in range(1, thread.threads):
            for k in range(hidden):
                dh[r, k] += factor * w.dh[other, r, k]
        losses[thread.number] -= _log_probability(w, r, h[r], b2[targets[r]], math.log(whole))
    fill_rows(w.factors, low, high, w.factor_rows)
    if not tied:
        fill_columns(w.scaled[low:high], w.scaled_columns[low // 2 :])


@parallel
def _weights_back(thread, w, tied, targets, dU, db2, add):
    """dU and db2 of each thread's panels: with g = scale / S, sum_t g(t) h(t)' (e(t) - S(t) y(t))."""
    width = panel(db2.dtype.type(0))
    first, stop = partition(thread, w.bias.size // width, 1)
    rows, vocabulary, hidden = targets.size, db2.size, w.own_u.shape[1]
    deep = depth(w.e, rows)
    size = deep * width
    for r in range(rows):
        column = targets[r] - first * width
        if 0 <= column < (stop - first) * width:
            place = targets[r] // width * size
            subtract(w.e[place : place + size], r, targets[r] % width, w.whole[r])
    g, gh = operand(w.factors, w.factor_rows), operand(w.scaled, w.scaled_columns)
    db2_row = db2.reshape((1, vocabulary))
    scaled_panels = w.scaled_panels[thread.number]
    if tied:
        pack_panels(w.scaled[:rows], False, 0, hidden, rows, scaled_panels)
    for p in range(first, stop):
        column = p * width
        columns = min(width, vocabulary - column)
        own = w.e[p * size : (p + 1) * size]
        rows_times_panel(g, deep, own, width, columns, db2_row[:, column:], add)
        if tied:
            own_columns = own.reshape((deep, width))[:, :columns]
            multiply_columns(own_columns, deep, scaled_panels, 0, hidden, dU[column : column + columns], add)
        else:
            columns_times_panel(gh, deep, own, width, columns, dU[:, column:], add)
