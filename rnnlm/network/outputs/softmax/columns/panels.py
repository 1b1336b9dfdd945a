"""Panels of logits and their products: NR columns of all rows of a block, row by row.

A panel is read by two products, as A by rows (dh = exp_z U') and as B (dU = h' exp_z). In float32 and float64 both
read the panel itself; in bfloat16 it is written twice, as pairs of columns and as pairs of rows.
"""

from __future__ import annotations

from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.layout import depth, padded
from rnnlm.kernels.matmul.tile import blocks_times_panel, panel, rows_times_panel


@jit
def panel_logits(h, deep, packed_u, z):
    """One panel of z = h U, rows x NR.

    Args:
        h: rows x D_h, an operand by rows, `deep` numbers each.
        packed_u: U's packed panel, NR columns or a single vector of them.
        z: flat, rows NR numbers or more.
    """
    width = panel(packed_u.dtype.type(0))
    wide, rows = packed_u.size // deep, h.shape[0]
    if wide < width:
        z[: rows * width] = 0
    rows_times_panel(h, deep, packed_u, wide, wide, z[: rows * width].reshape((rows, width)), False)


@jit
def panels_times(exp_z, step, count, packed_back, dh, add):
    """dh (rows x D_h) (+)= exp_z U'.

    Args:
        exp_z: `count` panels by rows, `step` numbers from one to the next.
        packed_back: U' packed with k = count NR.
    """
    (rows, hidden), width = dh.shape, panel(packed_back.dtype.type(0))
    inner = depth(exp_z, width)
    for k in range(0, hidden, width):
        columns = min(width, hidden - k)
        wide = padded(packed_back, columns)
        own = packed_back[k * count * inner :]
        blocks_times_panel(exp_z, step, rows, count, inner, own, wide, columns, dh[:, k:], add)
