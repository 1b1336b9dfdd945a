"""Panels of logits and what becomes of them, for ``columns``: NR columns of all rows of a block, row by row.

A panel is read by two products, as A by rows (dh = e U') and as B (dU = h' e). In float32 and float64 both read the
panel itself; in bfloat16 it is written twice, as pairs of columns and as pairs of rows.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from rnnlm.kernels.cpu import LANES32, LANES64
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.layout import depth, fill_rows, padded, pair, unpaired
from rnnlm.kernels.matmul.tile import blocks_times_panel, panel, rows_times_panel


def panel_width(dtype: np.dtype) -> int:
    """NR for numbers of this type."""
    return 2 * (LANES64 if dtype == np.float64 else LANES32)


@jit
def panel_logits(h, deep, packed_u, z):
    """One panel of z = h U, rows x NR, from U's packed panel. h: an operand by rows; z: flat."""
    width = panel(packed_u.dtype.type(0))
    wide, rows = packed_u.size // deep, h.shape[0]
    if wide < width:
        z[: rows * width] = 0
    rows_times_panel(h, deep, packed_u, wide, wide, z[: rows * width].reshape((rows, width)), False)


@jit
def panels_times(e, step, rows, count, packed_back, hidden, dh, add):
    """dh (+)= e U' for `count` panels of e by rows, `step` numbers from one to the next; U' packed with k = count
    NR."""
    width = panel(packed_back.dtype.type(0))
    inner = depth(e, width)
    for k in range(0, hidden, width):
        columns = min(width, hidden - k)
        wide = padded(packed_back, columns)
        own = packed_back[k * count * inner :]
        blocks_times_panel(e, step, rows, count, inner, own, wide, columns, dh[:, k:], add)


def by_rows(z, rows, e):
    """A panel as an operand by rows: into `e` as pairs of columns, where it has pairs."""
    raise NotImplementedError("for kernels only")


@overload(by_rows)
def _by_rows(z, rows, e):
    def nothing(z, rows, e):
        pass

    def pairs(z, rows, e):
        width = panel(z.dtype.type(0))
        size = rows * width
        fill_rows(z[:size].reshape((rows, width)), 0, width, e[: size // 2].reshape((rows, width // 2)))

    return pairs if e.dtype == types.uint32 else nothing


def subtract(e, row, column, value):
    """e[row, column] -= value in a panel that is packed B (of pairs of rows, or itself)."""
    raise NotImplementedError("for kernels only")


@overload(subtract)
def _subtract(e, row, column, value):
    def plain(e, row, column, value):
        e[row * panel(e.dtype.type(0)) + column] -= value

    def pairs(e, row, column, value):
        place = row // 2 * panel(e.dtype.type(0)) + column
        low, high = unpaired(e[place])
        e[place] = pair(low, high - value) if row % 2 else pair(low - value, high)

    return pairs if e.dtype == types.uint32 else plain


def packed_number(packed, k, wide, column):
    """B[k, column] of one packed panel, as a number."""
    raise NotImplementedError("for kernels only")


@overload(packed_number)
def _packed_number(packed, k, wide, column):
    def plain(packed, k, wide, column):
        return packed[k * wide + column]

    def pairs(packed, k, wide, column):
        low, high = unpaired(packed[k // 2 * wide + column])
        return high if k % 2 else low

    return pairs if packed.dtype == types.uint32 else plain
