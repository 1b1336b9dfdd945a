"""Matrix products of packed operands: C (m x n) (+)= A (m x k) B (k x n).

B comes in panels, A by rows or by columns (``matmul.layout``). A product is a walk over tiles, by vectors
(``matmul.tile``) or by AMX's unit (``matmul.amx``), as the operands' layout says: a panel of B stays in the first or
second cache while all rows of A go past it. Every number of C is one sum over k, in order, whatever row of a tile it
falls into: results do not depend on how the threads partition C, which they do by whole panels.
"""

from __future__ import annotations

from numba.extending import overload

from rnnlm.kernels.cpu import DEPTH_BLOCK
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul import tile
from rnnlm.kernels.matmul.amx import tiles_times_panels
from rnnlm.kernels.matmul.instructions import address
from rnnlm.kernels.matmul.layout import INLINE, behind, elements_of, has_tiles, padded, panel


def multiply_rows(a, deep, b, first, last, c, add):
    """Columns first ... last of C, added to C when `add`.

    Args:
        a: an operand by rows, m x deep elements; deep: k in b's elements (``layout.depth``).
        b: the panels of the whole B, flat; first: a multiple of NR.
        c: m x n, rows contiguous.
    """
    raise NotImplementedError("for kernels only")


@overload(multiply_rows, jit_options=INLINE)
def _multiply_rows(a, deep, b, first, last, c, add):
    def by_vectors(a, deep, b, first, last, c, add):
        width = panel(b.array.dtype.type(0))
        for j in range(first, last, width):
            columns = min(width, last - j)
            tile.rows_times_panel(a, deep, behind(b, j * deep), padded(b, columns), columns, c[:, j:], add)

    def by_tiles(a, deep, b, first, last, c, add):
        if last > first:
            wide = padded(b, (last - first - 1) % 32 + 1)  # of the last panel
            _tiles(a, deep, behind(b, first * deep), wide, last - first, c[:, first:], add)

    return by_tiles if has_tiles(b) else by_vectors


@jit
def multiply_columns(a, deep, b, first, last, c, add):
    """The same for A by columns. A stretch of k after the other, so that what is read of A stays in the second cache
    and of B in the first."""
    width = panel(b.array.dtype.type(0))
    for k in range(0, deep, DEPTH_BLOCK):
        inner = min(DEPTH_BLOCK, deep - k)
        own_a = elements_of(a, k, k + inner)
        for j in range(first, last, width):
            columns = min(width, last - j)
            wide = padded(b, columns)
            own_b = behind(b, j * deep + k * wide)
            columns_times_panel(own_a, inner, own_b, wide, columns, c[:, j:], add or k > 0)


def rows_times_panel(a, deep, packed, wide, columns, c, add):
    """The first `columns` columns of c (+)= A B for one panel of B.

    Args:
        a: an operand by rows, m x deep elements or more.
        packed: the panel, flat, and what is behind it; `wide` elements for each of the `deep` of k.
        c: m rows, contiguous each.
    """
    raise NotImplementedError("for kernels only")


@overload(rows_times_panel, jit_options=INLINE)
def _rows_times_panel(a, deep, packed, wide, columns, c, add):
    return (_tiles if has_tiles(packed) else tile.rows_times_panel).py_func


def columns_times_panel(a, deep, packed, wide, columns, c, add):
    """The same as `rows_times_panel` for A by columns."""
    raise NotImplementedError("for kernels only")


@overload(columns_times_panel, jit_options=INLINE)
def _columns_times_panel(a, deep, packed, wide, columns, c, add):
    return (_tiles if has_tiles(packed) else tile.columns_times_panel).py_func


def stream_columns_times_panel(a, deep, packed, wide, columns, c):
    """c = A B as `columns_times_panel`, for a large C that is not read soon: past the caches if the layout can."""
    raise NotImplementedError("for kernels only")


@overload(stream_columns_times_panel, jit_options=INLINE)
def _stream_columns_times_panel(a, deep, packed, wide, columns, c):
    def by_vectors(a, deep, packed, wide, columns, c):
        tile.columns_times_panel(a, deep, packed, wide, columns, c, False)

    def by_tiles(a, deep, packed, wide, columns, c):
        _all_tiles(a, deep, packed, wide, columns, c, False, True)

    return by_tiles if has_tiles(packed) else by_vectors


def blocks_times_panel(blocks, count, inner, packed, wide, columns, c, add):
    """The same as `rows_times_panel` where A lies in `count` blocks of rows of `inner` elements (``layout.Blocks``),
    k running through a row of each block in turn."""
    raise NotImplementedError("for kernels only")


@overload(blocks_times_panel, jit_options=INLINE)
def _blocks_times_panel(blocks, count, inner, packed, wide, columns, c, add):
    return (_tiles_of_blocks if has_tiles(packed) else tile.blocks_times_panel).py_func


@jit
def _tiles(a, deep, packed, wide, columns, c, add):
    """Panels of B, `columns` columns in all; the last panel has `wide` elements for each of k."""
    _all_tiles(a, deep, packed, wide, columns, c, add, False)


@jit
def _all_tiles(a, deep, packed, wide, columns, c, add, stream):
    """The same, past the caches when `stream`."""
    a, b = a.array, packed.array
    tiles_times_panels(
        b.dtype.type(0), c.shape[0], columns, address(a), a.strides[0], 0, 1, deep // 16, address(b), 32 * deep * 4,
        wide * 4, address(c), c.strides[0], add, stream,
    )  # fmt: skip


@jit
def _tiles_of_blocks(blocks, count, inner, packed, wide, columns, c, add):
    """The same of one panel, where A lies in blocks."""
    a, b = blocks.operand.array, packed.array
    tiles_times_panels(
        b.dtype.type(0), c.shape[0], columns, address(a), inner * 4, blocks.step * 4, count, inner // 16, address(b),
        0, wide * 4, address(c), c.strides[0], add, False,
    )  # fmt: skip
