"""Products of bfloat16 by AMX, Intel's tile unit, with sums in float32.

It has eight registers of 16 rows x 64 bytes. One instruction (``tdpbf16ps``) does C (16 x 16) += A (16 x 32)
B (32 x 16). A lies row by row, B in pairs of neighbours in k, as in the panels of ``matmul.layout``. A block of C
takes two by two tiles, so that each tile that is loaded serves two products:

    registers    0 1      C      6 7    B: 16 pairs of k, two times 16 columns
                 2 3             4 5    A: two times 16 rows, 32 numbers of k

Less than 32 rows or columns are told to the unit (``ldtilecfg``): it neither reads nor writes what is beyond. Only k
is padded with zeros, to whole tiles. Every number of C is one sum over k, in order, whatever row of a block it falls
into.

A block of C that is added to, or written past the caches, is made on the stack. Tiles that are loaded from memory
would keep the unit waiting; so the block's place in C is only asked for, and the sums are added when it is there.

Linux gives the unit to a process that asks for it (`permitted`); the first tile instruction of any other ends it
(SIGILL). Threads and forks inherit the permission, exec loses it. Source: Intel 64 and IA-32 Architectures Software
Developer's Manual, volume 1, chapter 18.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import platform
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.instructions import prefetch
from rnnlm.kernels.symbols import Routine, call_by_name

# A tile's rows (and columns of C), its bytes of a row, and the numbers of k that a product of two tiles sums over.
TILE, TILE_BYTES, TILE_DEPTH = 16, 64, 32
_BLOCK = 2 * TILE
# arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA), from Linux's asm/prctl.h and asm/fpu/types.h.
_ARCH_PRCTL, _REQUEST, _TILE_DATA = 158, 0x1023, 18

_INT, _BYTE, _VOID = ir.IntType(64), ir.IntType(8), ir.VoidType()
_POINTER = ir.PointerType(_BYTE)


@functools.cache
def permitted() -> bool:
    """Whether Linux gives this process the tiles; asked for once."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    return ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST, _TILE_DATA) == 0


def _call(builder: Any, name: str, arguments: list[Any]) -> None:
    kind = ir.FunctionType(_VOID, [argument.type for argument in arguments])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), arguments)


@intrinsic
def _configure(typingctx: Any, rows: Any, columns: Any) -> Any:
    """Tiles for blocks of C of so many rows and columns, 1 to 32 each."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        memory = cgutils.alloca_once(builder, ir.ArrayType(_INT, 8))
        memory.align = 64
        builder.store(ir.Constant(ir.ArrayType(_INT, 8), [1] + [0] * 7), memory)  # palette 1
        data = builder.bitcast(memory, _POINTER)

        def two(size: Any) -> tuple[Any, Any]:
            """Of the first tile and of the second. One that is not used has any size but 0."""
            whole = _INT(TILE)
            small = builder.icmp_signed("<=", size, whole)
            rest = builder.sub(size, whole)
            return builder.select(small, size, whole), builder.select(small, whole, rest)

        (first, second), (left, right) = two(args[0]), two(args[1])
        whole = _INT(TILE)
        shapes = [
            (first, left), (first, right), (second, left), (second, right), (first, whole), (second, whole),
            (whole, left), (whole, right),
        ]  # fmt: skip
        for tile, (tile_rows, tile_columns) in enumerate(shapes):
            place = builder.bitcast(builder.gep(data, [_INT(16 + 2 * tile)]), ir.IntType(16).as_pointer())
            builder.store(builder.trunc(builder.mul(tile_columns, _INT(4)), ir.IntType(16)), place)
            builder.store(builder.trunc(tile_rows, _BYTE), builder.gep(data, [_INT(48 + tile)]))
        _call(builder, "ldtilecfg", [data])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


@intrinsic
def _release(typingctx: Any) -> Any:
    """Tiles are empty, so that the system need not keep them."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _call(builder, "tilerelease", [])
        return context.get_dummy_value()

    return types.void(), codegen


class _Block:
    """Writes the instructions of a block of C of 1 or 2 by 1 or 2 tiles."""

    def __init__(self, builder: Any, down: int, across: int) -> None:
        self.builder = builder
        self.of_c = [(row, column) for row in range(down) for column in range(across)]
        self.down, self.across = down, across

    def emit(self, operands: Any, add: Any, ahead: tuple[Any, Any, Any] | None) -> None:
        """`operands`: the integers that `_block` takes; ahead: the place of rows that are asked for meanwhile, two a
        step of k, how many bytes they lie apart, and their number."""
        builder = self.builder
        a, a_row, a_step, outer, inner, b, b_row, c, c_row = operands
        with builder.if_else(builder.icmp_unsigned("!=", add, add.type(0))) as (adds, begins):
            with adds:
                for row, column in self.of_c:
                    self._tile("tileloadd64", 2 * row + column, self._place_of_c(c, c_row, row, column), c_row)
            with begins:
                for row, column in self.of_c:
                    _call(builder, "tilezero", [_BYTE(2 * row + column)])
        b_step = builder.mul(b_row, _INT(TILE))
        below = builder.mul(a_row, _INT(TILE))
        with cgutils.for_range(builder, outer, intp=_INT) as out:
            a_block = builder.add(a, builder.mul(out.index, a_step))
            b_block = builder.add(b, builder.mul(builder.mul(out.index, inner), b_step))
            with cgutils.for_range(builder, inner, intp=_INT) as loop:
                if ahead:
                    step = builder.add(builder.mul(out.index, inner), loop.index)
                    for row in range(2):
                        number = builder.add(builder.shl(step, _INT(1)), _INT(row))
                        inside = builder.icmp_signed("<", number, ahead[2])
                        number = builder.select(inside, number, _INT(0))
                        self._ask_for(builder.add(ahead[0], builder.mul(number, ahead[1])))
                now_a = builder.add(a_block, builder.mul(loop.index, _INT(TILE_BYTES)))
                now_b = builder.add(b_block, builder.mul(loop.index, b_step))
                for row in range(self.down):
                    self._tile("tileloadd64", 4 + row, builder.add(now_a, below) if row else now_a, a_row)
                for column in range(self.across):
                    self._tile("tileloadd64", 6 + column, builder.add(now_b, _INT(TILE_BYTES * column)), b_row)
                for row, column in self.of_c:
                    _call(builder, "tdpbf16ps", [_BYTE(2 * row + column), _BYTE(4 + row), _BYTE(6 + column)])
        for row, column in self.of_c:
            self._tile("tilestored64", 2 * row + column, self._place_of_c(c, c_row, row, column), c_row)

    def _place_of_c(self, c: Any, c_row: Any, row: int, column: int) -> Any:
        place = self.builder.add(c, self.builder.mul(c_row, _INT(TILE))) if row else c
        return self.builder.add(place, _INT(TILE_BYTES * column))

    def _ask_for(self, row: Any) -> None:
        """The cache lines of a row of 32 numbers, wherever it begins."""
        for at in (0, TILE_BYTES, 2 * TILE_BYTES - 1):
            prefetch(self.builder, self.builder.inttoptr(self.builder.add(row, _INT(at)), _POINTER), to_write=True)

    def _tile(self, name: str, tile: int, place: Any, row: Any) -> None:
        _call(self.builder, name, [_BYTE(tile), self.builder.inttoptr(place, _POINTER), row])


@intrinsic
def _block(typingctx: Any, rows: Any, columns: Any, a: Any, a_row: Any, a_step: Any, outer: Any, inner: Any, b: Any,
           b_row: Any, c: Any, c_row: Any, add: Any, ahead: Any, ahead_row: Any) -> Any:  # fmt: skip
    """One block of C; the tiles are configured for its size. Addresses, and bytes from row to row. ahead: 0, or the
    place of as many rows of 32 numbers, which are asked for (of blocks of more than 16 columns alone)."""
    signature = types.void(*([types.intp] * 11), types.boolean, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows, columns, *operands, add, ahead, ahead_row = args
        done = builder.function.append_basic_block("block.done")
        one_row, one_column = (builder.icmp_signed("<=", size, _INT(TILE)) for size in (rows, columns))
        number = builder.add(builder.select(one_row, _INT(0), _INT(2)), builder.select(one_column, _INT(0), _INT(1)))
        asks = builder.icmp_unsigned("!=", ahead, _INT(0))
        number = builder.add(number, builder.select(asks, _INT(4), _INT(0)))
        switch = builder.switch(number, done)
        for kind in (0, 1, 2, 3, 5, 7):
            case = builder.function.append_basic_block(f"block.{kind}")
            switch.add_case(_INT(kind), case)
            builder.position_at_end(case)
            block = _Block(builder, 1 + kind // 2 % 2, 1 + kind % 2)
            block.emit(operands, add, (ahead, ahead_row, rows) if kind >= 4 else None)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _room(typingctx: Any) -> Any:
    """The address of memory on the stack for one block of C."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        memory = cgutils.alloca_once(builder, ir.ArrayType(ir.FloatType(), _BLOCK * _BLOCK))
        memory.align = 64
        return builder.ptrtoint(memory, _INT)

    return types.intp(), codegen


@intrinsic
def _stream(typingctx: Any, block: Any, rows: Any, c: Any, c_row: Any) -> Any:
    """Rows of a block of 32 columns to C past the caches (non-temporal stores): 64 bytes at a time where all rows
    begin with a cache line, else 16."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block, rows, c, c_row = args
        hint = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])

        def copy(lanes: int) -> None:
            vector = ir.VectorType(ir.FloatType(), lanes).as_pointer()
            with cgutils.for_range(builder, rows, intp=_INT) as loop:
                source = builder.add(block, builder.mul(loop.index, _INT(2 * TILE_BYTES)))
                target = builder.add(c, builder.mul(loop.index, c_row))
                for at in range(0, 2 * TILE_BYTES, 4 * lanes):
                    value = builder.load(builder.inttoptr(builder.add(source, _INT(at)), vector))
                    value.align = 4 * lanes
                    store = builder.store(value, builder.inttoptr(builder.add(target, _INT(at)), vector))
                    store.align = 4 * lanes
                    store.set_metadata("nontemporal", hint)

        apart = builder.and_(builder.or_(c, c_row), _INT(63))
        with builder.if_else(builder.icmp_unsigned("==", apart, _INT(0))) as (lines, parts):
            with lines:
                copy(16)
            with parts:
                copy(4)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), codegen


@intrinsic
def _add(typingctx: Any, block: Any, rows: Any, c: Any, c_row: Any) -> Any:
    """Rows of a block of 32 columns, added to C."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block, rows, c, c_row = args
        vector = ir.VectorType(ir.FloatType(), 16).as_pointer()
        with cgutils.for_range(builder, rows, intp=_INT) as loop:
            source = builder.add(block, builder.mul(loop.index, _INT(2 * TILE_BYTES)))
            target = builder.add(c, builder.mul(loop.index, c_row))
            for at in (0, TILE_BYTES):
                places = [builder.inttoptr(builder.add(row, _INT(at)), vector) for row in (source, target)]
                values = [builder.load(place) for place in places]
                for value in values:
                    value.align = 4
                builder.store(builder.fadd(values[1], values[0]), places[1]).align = 4
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), codegen


@intrinsic
def _fence(typingctx: Any) -> Any:
    """What was streamed is there for other threads."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _call(builder, "sse.sfence", [])
        return context.get_dummy_value()

    return types.void(), codegen


def _tiles_times_panels(kind, m, n, a, a_row, a_step, outer, inner, b, b_panel, last_row, c, c_row, add, stream):
    """All rows of C (m x n) times panels of B, one panel after the other, a block of rows after the other. Called by
    name, so with numbers alone:

    Args:
        kind: an element of A and B, for its type; m, n: rows and columns of C.
        a, b, c: addresses; a_row, c_row, b_panel: bytes from row to row, from panel to panel.
        a_step, outer, inner: A's rows lie in `outer` blocks, `a_step` bytes apart, each with `inner` tiles of k.
        last_row: bytes of a row of pairs in the last panel.
        add: whether the product is added to C.
        stream: whether C, which is not added to, is written past the caches, where its rows begin with 16 bytes.
    """
    configured, room = 0, _room()
    stream = stream and (c | c_row) % 16 == 0
    for j in range(0, n, _BLOCK):
        columns = min(_BLOCK, n - j)
        b_row = last_row if j + _BLOCK >= n else 2 * TILE_BYTES
        beside = (stream or add) and columns == _BLOCK  # C waits for memory; the unit goes on
        for i in range(0, m, _BLOCK):
            rows = min(_BLOCK, m - i)
            if configured != rows * 64 + columns:
                configured = rows * 64 + columns
                _configure(rows, columns)
            at_a, at_c = a + i * a_row, c + i * c_row + j * 4
            if not beside:
                _block(rows, columns, at_a, a_row, a_step, outer, inner, b, b_row, at_c, c_row, add, 0, 0)
                continue
            ahead, room_row = (at_c if add else 0), 2 * TILE_BYTES
            _block(rows, columns, at_a, a_row, a_step, outer, inner, b, b_row, room, room_row, False, ahead, c_row)
            if add:
                _add(room, rows, at_c, c_row)
            else:
                _stream(room, rows, at_c, c_row)
        b += b_panel
    _release()
    if stream:
        _fence()


TILES_TIMES_PANELS = Routine(
    "tiles", lambda kind: [kind, *[types.intp] * 12, types.boolean, types.boolean], _tiles_times_panels
)
tiles_times_panels = call_by_name(TILES_TIMES_PANELS)


# Multiplications and additions of a turn of `multiply_only`.
OPERATIONS = 4 * 2 * TILE * TILE * TILE_DEPTH


@intrinsic
def _products(typingctx: Any, turns: Any) -> Any:
    """The four products of a block, again and again, of tiles that are as they are."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        for tile in range(8):
            _call(builder, "tilezero", [_BYTE(tile)])
        with cgutils.for_range(builder, args[0], intp=_INT):
            for row, column in itertools.product(range(2), range(2)):
                _call(builder, "tdpbf16ps", [_BYTE(2 * row + column), _BYTE(4 + row), _BYTE(6 + column)])
        return context.get_dummy_value()

    return types.void(types.intp), codegen


@jit
def multiply_only(turns):
    """Products of tiles without anything around them, to measure the unit."""
    _configure(_BLOCK, _BLOCK)
    _products(turns)
    _release()
