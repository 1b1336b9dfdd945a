"""Layouts of packed operands, by name: how the matrices of a product lie in memory.

A packed operand is a named tuple whose class is its layout. It is used in kernels and outside of them:

    Numbers          plain float32 or float64
    BFloat16Pairs    two bfloat16 that are neighbours in k, the even one in the lower half of a uint32; zero beyond an
                     odd number of k
    BFloat16Tiles    the same pairs for AMX's tiles (``matmul.amx``), in an int32; zero beyond k to the next multiple
                     of 32
    BFloat16x3Tiles  three such tiles for each 32 numbers of k, which are the sum of two bfloat16 (``matmul.split``)

In each layout there are three forms of an operand, for C (m x n) = A (m x k) B (k x n):

    panels    B: panels of NR columns, the last one of a single vector where that is enough; for each k its NR
              (or NR / 2) numbers, zeros beyond the n-th. Panels follow one another; each has depth(k) NR numbers.
    rows      A row by row: A itself; or m x depth(k) pairs. BFloat16Pairs: a tile's rows after the other, of each
              tile for every k the rows' pairs side by side. (Twelve rows read as they lie were now and then at 60% of
              the speed, by where they happened to lie, in bfloat16 only.)
    columns   A = a' of a (k x m): slabs of a tile's rows of A, of each for every k the rows' numbers (or pairs) side
              by side, ceil(m / ROWS) x depth(k) x ROWS. (As they lie in a, each k is in another page of memory:
              products of 650 rows are a fifth slower.) For AMX: A itself again, m x depth(k) pairs.

For AMX the rows of A are an odd number of cache lines apart.

So plain numbers by rows are never copied: that form has no memory, ``pack.fill_rows`` does nothing, and `operand`
gives A itself.

This module says how much memory an operand takes and where everything is in it; ``pack`` writes it, ``gemm`` reads
it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import DTypeLike

from rnnlm.kernels.cpu import LANES32, LANES64, ROWS
from rnnlm.kernels.jit import jit


class Numbers(NamedTuple):
    """float32 or float64 as they are."""

    array: np.ndarray


class BFloat16Pairs(NamedTuple):
    """Two bfloat16, neighbours in k, in each uint32."""

    array: np.ndarray


class BFloat16Tiles(NamedTuple):
    """Two bfloat16, neighbours in k, in each int32, for AMX. (Not uint32: routines that are called by name tell the
    layouts apart by the element's type.)"""

    array: np.ndarray


class BFloat16x3Tiles(NamedTuple):
    """Numbers as the sum of two bfloat16, in three tiles, for AMX."""

    array: np.ndarray


Packed = Numbers | BFloat16Pairs | BFloat16Tiles | BFloat16x3Tiles
Layout = type[Numbers] | type[BFloat16Pairs] | type[BFloat16Tiles] | type[BFloat16x3Tiles]
# Those that AMX multiplies, with the elements that each 32 numbers of k take.
BY_TILES: dict[Layout, int] = {BFloat16Tiles: 16, BFloat16x3Tiles: 48}


# -- memory


_ELEMENTS = {
    BFloat16Pairs: np.dtype(np.uint32), BFloat16Tiles: np.dtype(np.int32), BFloat16x3Tiles: np.dtype(np.int32),
}  # fmt: skip


def element(layout: Layout, dtype: DTypeLike) -> np.dtype[Any]:
    """The type of an operand's memory, where C has numbers of type `dtype`."""
    return _ELEMENTS.get(layout, np.dtype(dtype))


def element_bytes(layout: Layout, dtype: DTypeLike) -> int:
    """Bytes that a number takes at most in an operand, where C has numbers of type `dtype`."""
    return {BFloat16Pairs: 2, BFloat16Tiles: 2, BFloat16x3Tiles: 6}.get(layout, np.dtype(dtype).itemsize)


def panels_shape(layout: Layout, k: int, n: int) -> tuple[int, ...]:
    """Of a k x n matrix packed as panels."""
    return (_depth(layout, k) * (-(-n // LANES32) * LANES32),)


def rows_shape(layout: Layout, *shape: int) -> tuple[int, ...]:
    """Of A, ... x m x k, packed by rows."""
    *outer, k = shape
    return (0,) * len(shape) if layout is Numbers else (*outer, _apart(layout, k))


def columns_shape(layout: Layout, k: int, m: int) -> tuple[int, ...]:
    """Of A = a' of a (k x m), packed by columns."""
    return (m, _apart(layout, k)) if layout in BY_TILES else (-(-m // ROWS), _depth(layout, k), ROWS)


def unrounded_shape(layout: Layout, *shape: int) -> tuple[int, ...]:
    """Of numbers on their way into an operand; nothing where products read the numbers themselves."""
    return (0,) * len(shape) if layout is Numbers else shape


def panel_width(dtype: DTypeLike) -> int:
    """NR, the columns of a panel of B, where C has numbers of this type."""
    return 2 * (LANES64 if np.dtype(dtype) == np.float64 else LANES32)


def _depth(layout: Layout, k: int) -> int:
    """How many elements k numbers take."""
    if layout is Numbers:
        return k
    return (k + 1) // 2 if layout is BFloat16Pairs else -(-k // 32) * BY_TILES[layout]


def _apart(layout: Layout, k: int) -> int:
    """Elements from one row of A to the next. For AMX an odd number of cache lines: with an even one the 16 rows of a
    tile share few places of the first cache (512 numbers of k: four), and products are up to a sixth slower."""
    deep = _depth(layout, k)
    return (deep // 16 | 1) * 16 if layout in BY_TILES else deep


# -- dispatch in kernels, by Numba's types of the operands


def has_pairs(packed: Any) -> bool:
    """Whether an operand of this Numba type is `BFloat16Pairs`."""
    return getattr(packed, "instance_class", None) is BFloat16Pairs


def has_tiles(packed: Any) -> bool:
    """Whether an operand of this Numba type is for AMX."""
    return getattr(packed, "instance_class", None) in BY_TILES


def has_parts(packed: Any) -> bool:
    """Whether an operand of this Numba type is `BFloat16x3Tiles`."""
    return getattr(packed, "instance_class", None) is BFloat16x3Tiles


def is_rounded(packed: Any) -> bool:
    """Whether an operand of this Numba type has bfloat16."""
    return has_pairs(packed) or has_tiles(packed)


def has_two(kind: Any) -> bool:
    """Whether an element of this Numba type is two bfloat16."""
    return kind in (types.uint32, types.int32)


def lanes_of(kind: Any) -> int:
    """Elements of this Numba type in a vector."""
    return LANES64 if kind == types.float64 else LANES32


# What the functions below return is decided by the layout, so each is an overload. Numba compiles an overload's body
# once for each type; `forceinline` as in ``kernels.jit``.
INLINE: Any = {"forceinline": True}


def operand(a, packed):
    """What a product reads: `packed`, or where that has plain numbers, `a` itself."""
    raise NotImplementedError("for kernels only")


@overload(operand, jit_options=INLINE)
def _operand(a, packed):
    if is_rounded(packed):
        return lambda a, packed: packed
    return lambda a, packed: Numbers(a)


# -- places in kernels


def panel(kind):
    """NR: columns of a panel, two vectors. kind: an element, or a number of C."""
    raise NotImplementedError("for kernels only")


@overload(panel, jit_options=INLINE)
def _panel(kind):
    width = 2 * lanes_of(kind)
    return lambda kind: width


def depth(packed, k):
    """How many of `packed`'s elements k numbers take."""
    raise NotImplementedError("for kernels only")


@overload(depth, jit_options=INLINE)
def _depth_in_kernels(packed, k):
    if has_pairs(packed):
        return lambda packed, k: (k + 1) // 2
    if has_tiles(packed):
        elements = BY_TILES[packed.instance_class]
        return lambda packed, k: (k + 31) // 32 * elements
    return lambda packed, k: k


def depth_grain(packed):
    """How many numbers of k threads pack together at least, so that no two write to one pair, or to one tile."""
    raise NotImplementedError("for kernels only")


@overload(depth_grain, jit_options=INLINE)
def _depth_grain(packed):
    grain = 32 if has_tiles(packed) else 2
    return lambda packed: grain


@jit
def padded(packed, n):
    """How many columns n columns take in panels."""
    lanes = panel(packed.array.dtype.type(0)) // 2
    return (n + lanes - 1) // lanes * lanes


def block_of(packed, i):
    """The i-th of several operands with one more axis: of a cell's blocks, of threads, of steps."""
    raise NotImplementedError("for kernels only")


@overload(block_of, jit_options=INLINE)
def _block(packed, i):
    layout = packed.instance_class
    return lambda packed, i: layout(packed.array[i])


def blocks_from(packed, first):
    """Several operands from the one of number `first` on."""
    raise NotImplementedError("for kernels only")


@overload(blocks_from, jit_options=INLINE)
def _blocks_from(packed, first):
    layout = packed.instance_class
    return lambda packed, first: layout(packed.array[first:])


@jit
def block_count(packed):
    """How many operands there are along the first axis."""
    return packed.array.shape[0]


def rows_of(packed, first, last):
    """Rows first ... last of an operand by rows, an operand of its own. It is to be filled as one: a tile's rows lie
    together."""
    raise NotImplementedError("for kernels only")


@overload(rows_of, jit_options=INLINE)
def _rows_of(packed, first, last):
    layout = packed.instance_class
    return lambda packed, first, last: layout(packed.array[first:last])


def rows_at(packed, t, first, last):
    """Rows first ... last of operand t, of several by rows; see `rows_of`."""
    raise NotImplementedError("for kernels only")


@overload(rows_at, jit_options=INLINE)
def _rows_at(packed, t, first, last):
    layout = packed.instance_class
    return lambda packed, t, first, last: layout(packed.array[t, first:last])


def depths_of(packed, first, last):
    """Numbers first ... last of k of an operand by columns; multiples of `depth_grain`, or the end."""
    raise NotImplementedError("for kernels only")


@overload(depths_of, jit_options=INLINE)
def _depths_of(packed, first, last):
    layout = packed.instance_class
    if has_pairs(packed):
        return lambda packed, first, last: layout(packed.array[:, first // 2 : (last + 1) // 2])
    if has_tiles(packed):
        deep = BY_TILES[layout]
        return lambda packed, first, last: layout(packed.array[:, first // 32 * deep : (last + 31) // 32 * deep])
    return lambda packed, first, last: layout(packed.array[:, first:last])


def elements_of(packed, first, last):
    """Elements first ... last along k of an operand by columns."""
    raise NotImplementedError("for kernels only")


@overload(elements_of, jit_options=INLINE)
def _elements_of(packed, first, last):
    layout = packed.instance_class
    return lambda packed, first, last: layout(packed.array[:, first:last])


def panel_at(packed, column, k, first):
    """The panel that begins with this column, and those after it, from the number `first` of the k on; `first`:
    even, or for the sums of two bfloat16 a multiple of 32. packed: all panels, flat."""
    raise NotImplementedError("for kernels only")


@overload(panel_at, jit_options=INLINE)
def _panel_at(packed, column, k, first):
    layout, numbers = packed.instance_class, 2 if is_rounded(packed) else 1  # in an element

    def place(packed, column, k, first):
        array = packed.array
        return layout(array[column * depth(packed, k) + first // numbers * panel(array.dtype.type(0)) :])

    def parts(packed, column, k, first):  # first: a multiple of 32
        return layout(packed.array[column * depth(packed, k) + first // 32 * 48 * 32 :])

    return parts if has_parts(packed) else place


def behind(packed, place):
    """What is behind so many elements of panels (flat)."""
    raise NotImplementedError("for kernels only")


@overload(behind, jit_options=INLINE)
def _behind(packed, place):
    layout = packed.instance_class
    return lambda packed, place: layout(packed.array[place:])


def in_place(packed, beside, column, k, first, last):
    """Where rows first ... last of a panel of B are computed, flat: in the panel, if it has plain numbers; else in
    `beside` (flat), to be rounded. packed: all panels, flat; `first`: even."""
    raise NotImplementedError("for kernels only")


@overload(in_place, jit_options=INLINE)
def _in_place(packed, beside, column, k, first, last):
    def plain(packed, beside, column, k, first, last):
        array = packed.array
        width = panel(array.dtype.type(0))
        return array[column * k + first * width : column * k + last * width]

    def pairs(packed, beside, column, k, first, last):
        return beside[: (last - first) * panel(beside.dtype.type(0))]

    return pairs if is_rounded(packed) else plain


class Blocks(NamedTuple):
    """An operand by rows that lies in blocks of NR of its columns."""

    operand: Packed  # flat
    step: int  # elements from one block to the next


def panels_as_rows(packed, beside, column, k, first, last):
    """Rows first ... last of panels of B as an operand by rows, from the panel that begins with this column on: the
    panels themselves, if they have plain numbers; else `beside`, where they have been packed by rows, one below
    another."""
    raise NotImplementedError("for kernels only")


@overload(panels_as_rows, jit_options=INLINE)
def _panels_as_rows(packed, beside, column, k, first, last):
    layout = packed.instance_class

    def plain(packed, beside, column, k, first, last):
        array = packed.array
        width = panel(array.dtype.type(0))
        return Blocks(Numbers(array[column * k + first * width :]), k * width)

    def pairs(packed, beside, column, k, first, last):
        array = beside.array
        return Blocks(layout(array.reshape(array.size)), (last - first) * array.shape[1])

    return pairs if is_rounded(packed) else plain
