"""AMX's tile unit in software, so that what is written for it can be tested on a processor that has none.

Each instruction of ``kernels.matmul.amx`` becomes the call of a function that does what Intel's manual says of it, on
registers that lie on the stack of the kernel. What the unit would refuse (tiles that were not configured, or whose
shapes do not fit) gives NaN. Numbers too small for a normal float32 are not flushed to zero, as the unit does.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS, TILELOADD and LDTILECFG.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from rnnlm.kernels import cache, cpu, symbols
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul import amx
from rnnlm.kernels.symbols import Routine

TILES, ROWS, COLUMNS = 8, 16, 16  # registers; rows of each, and numbers of 32 bits in a row
# The registers' numbers, rows and bytes of a row of each, and room for the two sums of a row of a product.
_SHAPES = TILES * ROWS * COLUMNS
_SUMS = _SHAPES + 2 * TILES
_SIZE = _SUMS + 2 * COLUMNS

_POINTER = types.CPointer(types.int32)


@jit
def _float(bits):
    return np.int32(bits).view(np.float32)


@jit
def _bits(number):
    return np.float32(number).view(np.int32)


@jit
def _refuse(unit, tile):
    for at in range(ROWS * COLUMNS):
        unit[tile * ROWS * COLUMNS + at] = _bits(np.nan)


def _ldtilecfg(unit, memory, tile, other, bytes_of_a_row):
    """memory: 64 bytes; from byte 16 on the bytes of a row of each tile (16 bits), from byte 48 on its rows."""
    for number in range(TILES):
        unit[_SHAPES + 2 * number] = (memory[12 + number // 4] >> (8 * (number % 4))) & 255
        unit[_SHAPES + 2 * number + 1] = (memory[4 + number // 2] >> (16 * (number % 2))) & 65535
    for at in range(_SHAPES):
        unit[at] = 0


def _tilerelease(unit, memory, tile, other, bytes_of_a_row):
    for at in range(2 * TILES):
        unit[_SHAPES + at] = 0


def _tilezero(unit, memory, tile, other, bytes_of_a_row):
    for at in range(ROWS * COLUMNS):
        unit[tile * ROWS * COLUMNS + at] = 0
    if unit[_SHAPES + 2 * tile] == 0:
        _refuse(unit, tile)


def _tileloadd64(unit, memory, tile, other, bytes_of_a_row):
    """Rows of memory into a tile; what is beyond its rows and columns becomes zero."""
    rows, columns = unit[_SHAPES + 2 * tile], unit[_SHAPES + 2 * tile + 1] // 4
    for row in range(ROWS):
        for column in range(COLUMNS):
            inside = row < rows and column < columns
            number = memory[row * (bytes_of_a_row // 4) + column] if inside else np.int32(0)
            unit[(tile * ROWS + row) * COLUMNS + column] = number
    if rows == 0:
        _refuse(unit, tile)


def _tilestored64(unit, memory, tile, other, bytes_of_a_row):
    if unit[_SHAPES + 2 * tile] == 0:
        memory[0] = _bits(np.nan)
    for row in range(unit[_SHAPES + 2 * tile]):
        for column in range(unit[_SHAPES + 2 * tile + 1] // 4):
            memory[row * (bytes_of_a_row // 4) + column] = unit[(tile * ROWS + row) * COLUMNS + column]


def _tdpbf16ps(unit, memory, tile, other, bytes_of_a_row):
    """C += A B. tile: C's; other: A's and B's, 8 A + B. Even and odd k are summed apart, and added at the end."""
    a, b = other // TILES, other % TILES
    rows, columns = unit[_SHAPES + 2 * tile], unit[_SHAPES + 2 * tile + 1] // 4
    depth = unit[_SHAPES + 2 * a + 1] // 4
    if (rows == 0 or rows != unit[_SHAPES + 2 * a] or depth != unit[_SHAPES + 2 * b]
            or columns != unit[_SHAPES + 2 * b + 1] // 4):  # fmt: skip
        _refuse(unit, tile)
        return
    high = np.int32(-65536)
    for row in range(rows):
        for column in range(2 * COLUMNS):
            unit[_SUMS + column] = 0
        for k in range(depth):
            pair = unit[(a * ROWS + row) * COLUMNS + k]
            even, odd = _float(pair << 16), _float(pair & high)
            for column in range(columns):
                other_pair = unit[(b * ROWS + k) * COLUMNS + column]
                to = _SUMS + column
                unit[to] = _bits(_float(unit[to]) + even * _float(other_pair << 16))
                to += COLUMNS
                unit[to] = _bits(_float(unit[to]) + odd * _float(other_pair & high))
        for column in range(columns):
            to = (tile * ROWS + row) * COLUMNS + column
            both = _float(unit[_SUMS + column]) + _float(unit[_SUMS + COLUMNS + column])
            unit[to] = _bits(_float(unit[to]) + both)


def _arguments(kind: Any) -> list[Any]:
    return [_POINTER, _POINTER, types.int64, types.int64, types.int64]


_INSTRUCTIONS = {
    name: Routine(f"software_{name}", _arguments, function)
    for name, function in {
        "ldtilecfg": _ldtilecfg, "tilerelease": _tilerelease, "tilezero": _tilezero, "tileloadd64": _tileloadd64,
        "tilestored64": _tilestored64, "tdpbf16ps": _tdpbf16ps,
    }.items()
}  # fmt: skip
_WORD, _INT = ir.IntType(32), ir.IntType(64)


def _call(builder: Any, name: str, arguments: list[Any]) -> None:
    """Instead of ``amx._call``."""
    if name not in _INSTRUCTIONS:
        _native_call(builder, name, arguments)
        return
    routine = _INSTRUCTIONS[name]
    symbols.address(routine, types.int32)
    kind = ir.FunctionType(ir.VoidType(), [_WORD.as_pointer()] * 2 + [_INT] * 3)
    target = cgutils.get_or_insert_function(builder.module, kind, routine.symbol(types.int32))
    nowhere, zero = ir.Constant(_WORD.as_pointer(), None), _INT(0)
    places = [value for value in arguments if isinstance(value.type, ir.PointerType)]
    tiles = [builder.zext(value, _INT) for value in arguments if value.type == ir.IntType(8)]
    strides = [value for value in arguments if value.type == _INT]
    other = builder.add(builder.mul(tiles[1], _INT(TILES)), tiles[2]) if len(tiles) == 3 else zero
    place = builder.bitcast(places[0], _WORD.as_pointer()) if places else nowhere
    builder.call(target, [_unit(builder), place, (tiles or [zero])[0], other, (strides or [zero])[0]])


def _unit(builder: Any) -> Any:
    """The registers of the function that is being written; a function that is inlined uses those of its caller."""
    function = builder.function
    if not hasattr(function, "tile_unit"):
        memory = cgutils.alloca_once(builder, ir.ArrayType(_WORD, _SIZE), zfill=True)
        with builder.goto_entry_block():
            function.tile_unit = builder.bitcast(memory, _WORD.as_pointer())
    return function.tile_unit


_native_call = amx._call
_hash = cache.source_hash


def install() -> None:
    """From now on, and for compiled code that is kept, AMX is there: on processors with AVX512-BF16, which has the
    instructions that round."""
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    for routine in _INSTRUCTIONS.values():
        symbols._called[routine.name] = routine
    patched: Any = amx
    patched._call, patched.permitted = _call, lambda: True
    patched = cache
    patched.source_hash = lambda: hashlib.sha256((_hash() + own).encode()).hexdigest()
    patched = cpu
    patched.HAS_TILES = cpu.HAS_PAIRS
