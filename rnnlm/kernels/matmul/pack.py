"""Packing of operands into the places of ``matmul.layout``, with rounding to bfloat16."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload, register_jitable

from rnnlm.kernels.cpu import ROWS
from rnnlm.kernels.elementwise.rows import clear
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul import split
from rnnlm.kernels.matmul.bits import pair, unpaired
from rnnlm.kernels.matmul.instructions import address
from rnnlm.kernels.matmul.layout import (
    INLINE,
    depth,
    has_pairs,
    has_parts,
    has_tiles,
    has_two,
    lanes_of,
    panel,
)  # fmt: skip
from rnnlm.kernels.matmul.tile import tile_rows
from rnnlm.kernels.matmul.transpose import (
    interleaved,
    interleaved_pairs,
    round_row,
    store,
    transpose,
    transpose_pairs,
)
from rnnlm.kernels.symbols import Routine, call_by_name

# While a row of a matrix is packed, the one that is so many further on is asked for.
_ROWS_AHEAD = 24


def pack_panels(w, transposed, first, last, k, packed):
    """Columns first ... last (multiples of NR, or the end) of B = w, or w' when `transposed`, into their place in
    `packed` (all panels, flat); `k` may be more than B has: zeros there."""
    raise NotImplementedError("for kernels only")


@overload(pack_panels, jit_options=INLINE)
def _pack_panels(w, transposed, first, last, k, packed):
    def whole(w, transposed, first, last, k, packed):
        array = packed.array
        row, kind = w.strides[0] // w.itemsize, array.dtype.type(0)
        _call_pack(kind, w, row, w.shape[0], w.shape[1], transposed, first, last, depth(packed, k), array)

    def parts(w, transposed, first, last, k, packed):
        split.pack_panels(w, transposed, first, last, k, packed.array)

    return parts if has_parts(packed) else whole


def _pack_all(kind, w, row, height, length, transposed, first, last, deep, packed):
    """`pack_panels` where w is a pointer, `row` numbers from one row to the next."""
    width = panel(kind)
    if not transposed:
        _pack(w, row, height, length, first, last, width, deep, packed)
        return
    for j in range(first, last, width):
        here = min(width, height - j)
        wide = width if here > width // 2 else width // 2
        _pack_transposed(w, j * row, row, here, length, wide, deep, packed, j * deep)


def _pack(w, row, k, n, first, last, width, deep, packed):
    """Panels of w's columns, a row of w after the other through all of them: rows lie far apart in memory."""
    raise NotImplementedError("for kernels only")


def _pack_transposed(w, at, row, here, k, wide, deep, packed, to):
    """One panel: `here` of w's rows, k numbers each, as columns."""
    raise NotImplementedError("for kernels only")


@register_jitable
def _fill(packed, first, last):
    for i in range(first, last):
        packed[i] = 0


@overload(_pack)
def _pack_impl(w, row, k, n, first, last, width, deep, packed):
    pairs = has_two(packed.dtype)

    def rows(w, row, k, n, first, last, width, deep, packed):
        used = (k + 1) // 2 if pairs else k
        for l in range(used):
            for j in range(first, last, width):
                here = min(width, n - j)
                wide = width if here > width // 2 else width // 2
                target = j * deep + l * wide
                _pack_row(w, l, row, j, k, here, packed, target)
                _fill(packed, target + here, target + wide)
        for j in range(first, last, width):
            wide = width if n - j > width // 2 else width // 2
            _fill(packed, j * deep + used * wide, j * deep + deep * wide)

    return rows


def _pack_row(w, l, row, j, k, here, packed, target):
    """`here` numbers of one k (pairs: of two) from w's column j on."""
    raise NotImplementedError("for kernels only")


@overload(_pack_row)
def _pack_row_impl(w, l, row, j, k, here, packed, target):
    def plain(w, l, row, j, k, here, packed, target):
        source = l * row + j
        for i in range(here):
            packed[target + i] = w[source + i]

    def pairs(w, l, row, j, k, here, packed, target):
        source = 2 * l * row + j
        if 2 * l + 1 == k:
            for i in range(here):
                packed[target + i] = pair(w[source + i], np.float32(0))
            return
        whole = here // 16 * 16
        place = address(w) + source * 4
        # Rows lie in other pages of memory, where the processor doesn't look ahead by itself.
        interleaved_pairs(place, place + row * 4, whole, address(packed) + target * 4, _ROWS_AHEAD * row * 4)
        for i in range(whole, here):
            packed[target + i] = pair(w[source + i], w[source + row + i])

    return pairs if has_two(packed.dtype) else plain


@overload(_pack_transposed)
def _pack_transposed_impl(w, at, row, here, k, wide, deep, packed, to):
    kind = packed.dtype
    pairs, lanes = has_two(kind), lanes_of(kind)
    zero, item = np.dtype(str(kind)).type(0), 8 if kind == types.float64 else 4
    across = 2 * lanes if pairs else lanes  # of w, in one block

    def transposed(w, at, row, here, k, wide, deep, packed, to):
        whole = k // across
        for i in range(0, wide, lanes):
            height = min(lanes, here - i)
            for block in range(whole):
                source, target = at + i * row + block * across, to + block * lanes * wide + i
                transpose(zero, address(w) + source * item, row, height, address(packed) + target * item, wide, lanes)
        _fill(packed, to + whole * lanes * wide, to + deep * wide)
        for i in range(here):
            _rest(w, at + i * row, whole * across, k, wide, packed, to + i)

    return transposed


def _rest(w, at, first, k, wide, packed, to):
    """Numbers first ... k of a row, as a column."""
    raise NotImplementedError("for kernels only")


@overload(_rest)
def _rest_impl(w, at, first, k, wide, packed, to):
    def plain(w, at, first, k, wide, packed, to):
        for l in range(first, k):
            packed[to + l * wide] = w[at + l]

    def pairs(w, at, first, k, wide, packed, to):
        for l in range(first // 2, k // 2):
            packed[to + l * wide] = pair(w[at + 2 * l], w[at + 2 * l + 1])
        if k % 2:
            packed[to + k // 2 * wide] = pair(w[at + k - 1], np.float32(0))

    return pairs if has_two(packed.dtype) else plain


def _pack_arguments(kind):
    real = types.float64 if kind == types.float64 else types.float32
    integer = types.intp
    return [
        kind, types.CPointer(real), integer, integer, integer, types.boolean, integer, integer, integer,
        types.CPointer(kind),
    ]  # fmt: skip


PACK = Routine("pack", _pack_arguments, _pack_all)
_call_pack = call_by_name(PACK)


def _by_layout(packed, plain, pairs, tiles, parts):
    """What an overload does for operands of this Numba type."""
    if has_parts(packed):
        return parts
    return tiles if has_tiles(packed) else pairs if has_pairs(packed) else plain


@jit
def _round_tile(a, row, packed):
    """One tile's rows."""
    rows, k = a.shape
    whole = k // 32 * 32
    for l in range(0, whole, 32):
        source, target = address(a) + l * 4, address(packed) + l // 2 * rows * 4
        transpose(np.uint32(0), source, row, rows, target, rows, rows)
    for r in range(rows):
        for l in range(whole // 2, k // 2):
            packed[l * rows + r] = pair(a[r, 2 * l], a[r, 2 * l + 1])
        if k % 2:
            packed[k // 2 * rows + r] = pair(a[r, k - 1], a.dtype.type(0))


@intrinsic
def _copy_slab_row(typingctx, kind, source, target):
    """ROWS numbers or pairs from one address to another."""

    def codegen(context, builder, signature, args):
        vector = ir.VectorType(context.get_value_type(kind), ROWS)
        source, target = (builder.inttoptr(place, vector.as_pointer()) for place in args[1:])
        value = builder.load(source)
        value.align = 4
        builder.store(value, target).align = 4
        return context.get_dummy_value()

    return types.void(kind, types.intp, types.intp), codegen


@intrinsic
def _round_slab_row(typingctx, low, high, target):
    """ROWS float32 from each of two addresses as pairs, one above the other."""

    def codegen(context, builder, signature, args):
        floats, indices = ir.VectorType(ir.FloatType(), ROWS), ir.VectorType(ir.IntType(32), 16)
        wide = ir.Constant(indices, [min(i, ROWS - 1) for i in range(16)])
        rows = []
        for place in args[:2]:
            value = builder.load(builder.inttoptr(place, floats.as_pointer()))
            value.align = 4
            rows.append(builder.shuffle_vector(value, ir.Constant(floats, ir.Undefined), wide))
        pairs = builder.bitcast(interleaved(builder, *rows), indices)
        first = ir.Constant(ir.VectorType(ir.IntType(32), ROWS), list(range(ROWS)))
        store(
            builder,
            builder.shuffle_vector(pairs, ir.Constant(indices, ir.Undefined), first),
            builder.inttoptr(args[2], ir.IntType(32).as_pointer()),
        )
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@jit
def _fill_slabs(a, slabs):
    """a (k x m), numbers or pairs, into slabs of a tile's rows each."""
    (k, m), bytes_ = a.shape, ROWS * a.itemsize
    whole = m // ROWS
    for low in range(0, k, _ROWS_AHEAD):
        high = min(k, low + _ROWS_AHEAD)
        for s in range(whole):
            source, target = address(a) + s * bytes_, address(slabs) + s * slabs.strides[0]
            for l in range(low, high):
                _copy_slab_row(slabs.dtype.type(0), source + l * a.strides[0], target + l * bytes_)
        for l in range(low, high):
            for j in range(whole * ROWS, m):
                slabs[whole, l, j - whole * ROWS] = a[l, j]


@jit
def _round_slab(a, l, first, slab):
    """The same of rows 2l and 2l + 1 as pairs, of the last row of an odd number with zeros."""
    k, m = a.shape
    for r in range(min(ROWS, m - first)):
        high = a[2 * l + 1, first + r] if 2 * l + 1 < k else a.dtype.type(0)
        slab[r] = pair(a[2 * l, first + r], high)


def fill_rows(a, first, last, packed):
    """Columns first ... last of A (m x k) into `packed`, an operand by rows, if it is a copy; first is even, last is
    even or k."""
    raise NotImplementedError("for kernels only")


@overload(fill_rows)
def _fill_rows(a, first, last, packed):
    def nothing(a, first, last, packed):
        pass

    def tiles(a, first, last, packed):
        packed, k = packed.array, a.shape[1]
        for i in range(a.shape[0]):
            round_row(address(a[i]) + first * 4, last - first, address(packed[i]) + first * 2)
            if last == k:
                clear(packed[i, (k + 1) // 2 : (k + 31) // 32 * 16])

    def parts(a, first, last, packed):
        split.fill_rows(a, first, last, packed.array)

    def pairs(a, first, last, packed):
        m, deep = packed.array.shape
        flat = packed.array.reshape(m * deep)
        i = 0
        while i < a.shape[0]:
            rows = tile_rows(a.shape[0] - i)
            row = a.strides[0] // a.itemsize
            _round_tile(a[i : i + rows, first:last], row, flat[i * deep + first // 2 * rows :])
            i += rows

    return _by_layout(packed, nothing, pairs, tiles, parts)


def fill_columns(a, packed):
    """A = a' of a (k x m) into `packed`, an operand by columns."""
    raise NotImplementedError("for kernels only")


@overload(fill_columns)
def _fill_columns(a, packed):
    def plain(a, packed):
        _fill_slabs(a, packed.array)

    def tiles(a, packed):
        (k, m), packed = a.shape, packed.array
        row, to = a.strides[0], packed.strides[0]
        for l in range(0, k, 32):
            for j in range(0, m, 16):
                source, target = address(a) + l * row + j * 4, address(packed) + j * to + l * 2
                transpose_pairs(source, row, min(32, k - l), min(16, m - j), target, to)

    def parts(a, packed):
        split.fill_columns(a, packed.array)

    def pairs(a, packed):
        (k, m), packed = a.shape, packed.array
        for l in range((k + 1) // 2):
            whole = m // ROWS if 2 * l + 1 < k else 0  # with a row below
            low = address(a) + 2 * l * a.strides[0]
            for s in range(whole):
                place = low + s * ROWS * a.itemsize
                _round_slab_row(place, place + a.strides[0], address(packed[s, l]))
            for s in range(whole, (m + ROWS - 1) // ROWS):
                _round_slab(a, l, s * ROWS, packed[s, l])

    return _by_layout(packed, plain, pairs, tiles, parts)


def clear_depths(packed, k, columns):
    """Zeros behind the k-th number of each of the first `columns` columns of a panel of NR columns, up to its depth,
    where the panel was not filled by `pack_panels`."""
    raise NotImplementedError("for kernels only")


@overload(clear_depths)
def _clear_depths(packed, k, columns):
    def nothing(packed, k, columns):
        pass

    def tiles(packed, k, columns):
        clear(packed.array[(k + 1) // 2 * columns : depth(packed, k) * columns])

    return tiles if has_tiles(packed) and not has_parts(packed) else nothing


def subtract(packed, column, k, row, value):
    """B[row, column] -= value, of B (k x n) packed as panels."""
    raise NotImplementedError("for kernels only")


@overload(subtract)
def _subtract(packed, column, k, row, value):
    def plain(packed, column, k, row, value):
        width = panel(packed.array.dtype.type(0))
        packed.array[column // width * width * k + row * width + column % width] -= value

    def pairs(packed, column, k, row, value):
        array = packed.array
        width = panel(array.dtype.type(0))
        place = column // width * width * depth(packed, k) + row // 2 * width + column % width
        low, high = unpaired(np.uint32(array[place]))
        array[place] = array.dtype.type(pair(low, high - value) if row % 2 else pair(low - value, high))

    def parts(packed, column, k, row, value):
        split.subtract(packed.array[column // 32 * 32 * depth(packed, k) :], row, column % 32, value)

    return _by_layout(packed, plain, pairs, pairs, parts)


def panel_number(packed, wide, row, column):
    """B[row, column] of the first panel of `packed` (flat), which has `wide` columns, as a number."""
    raise NotImplementedError("for kernels only")


@overload(panel_number)
def _panel_number(packed, wide, row, column):
    def plain(packed, wide, row, column):
        return packed.array[row * wide + column]

    def pairs(packed, wide, row, column):
        low, high = unpaired(np.uint32(packed.array[row // 2 * wide + column]))
        return high if row % 2 else low

    def parts(packed, wide, row, column):
        return split.number(packed.array, wide, row, column)

    return _by_layout(packed, plain, pairs, pairs, parts)


def panel_as_columns(packed, beside, column, k, count):
    """The panel of B that begins with this column as an operand by columns, B' being what is multiplied: `count`
    columns of it, in `beside`, an operand by columns (k x NR). packed: all panels, flat."""
    raise NotImplementedError("for kernels only")


@overload(panel_as_columns, jit_options=INLINE)
def _panel_as_columns(packed, beside, column, k, count):
    def slabs(packed, beside, column, k, count):
        array, deep = packed.array, depth(packed, k)
        width = panel(array.dtype.type(0))
        _fill_slabs(array[column * deep : (column + width) * deep].reshape((deep, width))[:, :count], beside.array)
        return beside

    def copy(packed, beside, column, k, count):
        deep, to = depth(packed, k), beside.array
        for l in range(0, deep, 16):
            for j in range(0, 32, 16):
                source = address(packed.array[(column * deep) + l * 32 + j :])
                transpose(np.float32(0), source, 32, 16, address(to[j, l:]), to.shape[1], 16)  # of pairs, whole
        return beside

    def parts(packed, beside, column, k, count):
        deep = depth(packed, k)
        split.columns_of_panel(packed.array[column * deep :], deep, beside.array)
        return beside

    return _by_layout(packed, slabs, slabs, copy, parts)
