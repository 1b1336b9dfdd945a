"""Packing of float32 numbers as the sum of two bfloat16, x = hi + lo, for AMX.

    x y = hi hi' + hi lo' + lo hi'        what is left out, lo lo', is below 2^-16 of it

is one product of three times as many k: for each 32 numbers of k, `BFloat16x3Tiles` has three tiles behind one
another, of A hi, hi, lo and of B hi, lo, hi. So the sums have about 16 bits of mantissa, where a GPU's TF32 has 10,
and the kernels that multiply are those of bfloat16. Source: Henry, Tang & Heinecke 2019, "Leveraging the bfloat16
artificial intelligence datatype for higher-precision computations".

Blocks of 32 x 32 numbers are split into two on the stack, and packed from there as bfloat16 are.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.bits import as_bits, as_float, pair, rounded_bits, unpaired
from rnnlm.kernels.matmul.instructions import address
from rnnlm.kernels.matmul.transpose import interleaved_pairs, round_row, transpose, transpose_pairs

# Bytes of a block of 32 x 32 numbers, and of one of its rows.
_BLOCK, _ROW = 4096, 128
_LARGEST = np.float32(np.finfo(np.float32).max)


@intrinsic
def _two_blocks(typingctx):
    """The address of memory on the stack for a block's hi and, behind it, its lo."""

    def codegen(context, builder, signature, args):
        memory = cgutils.alloca_once(builder, ir.ArrayType(ir.IntType(64), 2 * _BLOCK // 8))
        memory.align = 64
        return builder.ptrtoint(memory, ir.IntType(64))

    return types.intp(), codegen


@intrinsic
def _at(typingctx, place):
    """float32 numbers at an address."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], ir.FloatType().as_pointer())

    return types.CPointer(types.float32)(types.intp), codegen


@jit
def _split_row(source, count, hi):
    """`count` numbers at one address: hi to another, lo a block behind it."""
    x, high, low = _at(source), _at(hi), _at(hi + _BLOCK)
    for j in range(count):
        upper = as_float(np.uint32(rounded_bits(as_bits(x[j])) & np.uint32(0xFFFF0000)))
        high[j] = upper
        low[j] = x[j] - upper if abs(upper) <= _LARGEST else np.float32(0)


@jit
def _clear(place, count):
    row = _at(place)
    for j in range(count):
        row[j] = np.float32(0)


@jit
def _split(source, row, rows, columns, hi):
    """A block of up to 32 x 32 numbers, `row` bytes from row to row; zeros around it."""
    for i in range(32):
        here = columns if i < rows else 0
        _split_row(source + i * row, here, hi + i * _ROW)
        _clear(hi + i * _ROW + here * 4, 32 - here)
        _clear(hi + _BLOCK + i * _ROW + here * 4, 32 - here)


@jit
def pack_panels(w, transposed, first, last, k, packed):
    """``pack.pack_panels``."""
    row = w.strides[0]
    n, inner = (w.shape[0], w.shape[1]) if transposed else (w.shape[1], w.shape[0])
    hi, deep = _two_blocks(), (k + 31) // 32 * 48
    for j in range(first, last, 32):
        columns = min(32, n - j)
        wide = 32 if columns > 16 else 16
        for l in range(0, k, 32):
            here = max(0, min(32, inner - l))
            target = address(packed) + (j * deep + l // 32 * 48 * wide) * 4
            if transposed:
                _split(address(w) + j * row + l * 4, row, columns, here, hi)
                for i in range(0, wide, 16):
                    for part in range(3):
                        source = hi + part % 2 * _BLOCK + i * _ROW
                        transpose(np.uint32(0), source, 32, 16, target + part * 64 * wide + i * 4, wide, 16)
            else:
                _split(address(w) + l * row + j * 4, row, here, columns, hi)
                _pack_block(hi, wide, target)


@jit
def _pack_block(hi, wide, target):
    """A block that has been split, rows of k, as the three tiles of B."""
    for part in range(3):
        source = hi + part % 2 * _BLOCK
        for i in range(16):
            place = target + (part * 16 + i) * wide * 4
            interleaved_pairs(source + 2 * i * _ROW, source + (2 * i + 1) * _ROW, wide, place, 0)


@jit
def pack_rows(z, rows, packed):
    """Rows of a panel of B, 32 numbers each (z: flat), from a multiple of 32 on, into their place in `packed`."""
    hi = _two_blocks()
    for l in range(0, rows, 32):
        _split(address(z) + l * _ROW, _ROW, min(32, rows - l), 32, hi)
        _pack_block(hi, 32, address(packed) + l // 32 * 48 * _ROW)


@jit
def fill_rows(a, first, last, packed):
    """``pack.fill_rows``."""
    k, hi = a.shape[1], _two_blocks()
    for i in range(a.shape[0]):
        c = first
        while c < last:
            stop = min(c // 32 * 32 + 32, last)
            _split_row(address(a[i]) + c * 4, stop - c, hi)
            target = address(packed[i]) + place(c) * 4
            for part in range(3):
                round_row(hi + part // 2 * _BLOCK, stop - c, target + part * 64)
            c = stop
        if last == k:
            _clear_row(packed[i], k + k % 2, (k + 31) // 32 * 32)


@jit
def place(k):
    """The element of an operand's row, or the row of a panel, that holds the hi of number k first."""
    return k // 32 * 48 + k % 32 // 2


@jit
def _clear_row(row, first, last):
    """Zeros for numbers first ... last of a row of A; first: even."""
    for c in range(first, last, 2):
        for part in range(3):
            row[place(c) + part * 16] = 0


@jit
def fill_columns(a, packed):
    """``pack.fill_columns``."""
    (k, m), hi = a.shape, _two_blocks()
    row, to = a.strides[0], packed.strides[0]
    for l in range(0, k, 32):
        height = min(32, k - l)
        for j in range(0, m, 16):
            width = min(16, m - j)
            for i in range(height):
                _split_row(address(a) + (l + i) * row + j * 4, width, hi + i * _ROW)
            target = address(packed) + j * to + l // 32 * 192
            for part in range(3):
                transpose_pairs(hi + part // 2 * _BLOCK, _ROW, height, width, target + part * 64, to)


@jit
def columns_of_panel(panel, deep, packed):
    """A panel of B (flat, `deep` x 32 pairs) as A by columns (32 x deep): its tiles hi, lo, hi as hi, hi, lo."""
    for l in range(0, deep, 16):
        part = l // 16 % 3
        to = l - part * 16 + (0 if part == 0 else 32 if part == 1 else 16)
        for j in range(0, 32, 16):
            source = address(panel) + (l * 32 + j) * 4
            transpose(np.float32(0), source, 32, 16, address(packed[j]) + to * 4, packed.shape[1], 16)


@jit
def number(panel, wide, row, column):
    """``pack.panel_number``."""
    at = place(row) * wide + column
    low, high = unpaired(np.uint32(panel[at]))
    low_rest, high_rest = unpaired(np.uint32(panel[at + 16 * wide]))
    return high + high_rest if row % 2 else low + low_rest


@jit
def subtract(panel, row, column, value):
    """B[row, column] -= value, of a panel of 32 columns."""
    at = place(row) * 32 + column
    x = number(panel, 32, row, column) - value
    upper = as_float(np.uint32(rounded_bits(as_bits(x)) & np.uint32(0xFFFF0000)))
    for part in range(3):
        new = upper if part % 2 == 0 else x - upper
        low, high = unpaired(np.uint32(panel[at + part * 512]))
        panel[at + part * 512] = panel.dtype.type(pair(low, new) if row % 2 else pair(new, high))
