"""Panels of logits and their products: NR columns of all rows of a block, row by row.

A panel is read by two products, as A by rows (dh = exp_z U') and as B (dU = h' exp_z). Plain numbers are read by both
as they are; in bfloat16 a panel is written twice, as pairs of columns and as pairs of rows.
"""

from __future__ import annotations

from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import blocks_times_panel, rows_times_panel
from rnnlm.kernels.matmul.layout import depth, padded, panel, panel_at


@jit
def panel_logits(h, deep, packed_u, columns, z):
    """One panel of z = h U.

    Args:
        h: R x D_h, an operand by rows, `deep` elements each.
        packed_u: U's panel of `columns` columns, flat, and what is behind it.
        z: flat, R NR numbers.
    """
    width = panel(z.dtype.type(0))
    wide = padded(packed_u, columns)
    if wide < width:
        z[:] = 0
    rows_times_panel(h, deep, packed_u, wide, wide, z.reshape((z.size // width, width)), False)


@jit
def panels_times(exp_z, count, packed_back, dh, add):
    """dh (R x D_h) (+)= exp_z U'.

    Args:
        exp_z: `count` panels as an operand by rows in blocks.
        packed_back: U' packed with k = count NR.
    """
    hidden, width = dh.shape[1], panel(dh.dtype.type(0))
    inner = depth(packed_back, width)
    for column in range(0, hidden, width):
        columns = min(width, hidden - column)
        own = panel_at(packed_back, column, count * width, 0)
        blocks_times_panel(exp_z, count, inner, own, padded(own, columns), columns, dh[:, column:], add)
