"""Matrix products of packed operands: C (m x n) (+)= A (m x k) B (k x n).

B comes in panels, A by rows or by columns (``matmul.layout``). A product is a walk over tiles (``matmul.tile``): a
panel of B stays in the first or second cache while all rows of A go past it. Every number of C is one sum over k, in
order, whatever the tile it falls into: results do not depend on how the threads partition it.
"""

from __future__ import annotations

from rnnlm.kernels.cpu import DEPTH_BLOCK
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.layout import behind, padded, panel, rows_of
from rnnlm.kernels.matmul.tile import columns_times_panel, rows_times_panel


@jit
def multiply_rows(a, deep, b, first, last, c, add):
    """Columns first ... last of C, added to C when `add`.

    Args:
        a: an operand by rows, m x deep elements; deep: k in b's elements (``layout.depth``).
        b: the panels of the whole B, flat; first: a multiple of NR.
        c: m x n, rows contiguous.
    """
    width = panel(b.array.dtype.type(0))
    for j in range(first, last, width):
        columns = min(width, last - j)
        rows_times_panel(a, deep, behind(b, j * deep), padded(b, columns), columns, c[:, j:], add)


@jit
def multiply_columns(a, deep, b, first, last, c, add):
    """The same for A by columns, deep x m elements. A stretch of k after the other, so that what is read of A stays
    in the second cache and of B in the first."""
    width = panel(b.array.dtype.type(0))
    for k in range(0, deep, DEPTH_BLOCK):
        inner = min(DEPTH_BLOCK, deep - k)
        own_a = rows_of(a, k, k + inner)
        for j in range(first, last, width):
            columns = min(width, last - j)
            wide = padded(b, columns)
            own_b = behind(b, j * deep + k * wide)
            columns_times_panel(own_a, inner, own_b, wide, columns, c[:, j:], add or k > 0)
