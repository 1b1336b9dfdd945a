"""Transposition of blocks, and rounding of float32 to pairs of bfloat16, by vectors.

All arguments are addresses and numbers of numbers; ``matmul.pack`` does what does not fill a vector.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rnnlm.kernels.matmul.instructions import BFLOAT, BYTES, prefetch
from rnnlm.kernels.matmul.layout import has_two, lanes_of

_INT, _INT32 = ir.IntType(64), ir.IntType(32)


def _load(builder: Any, vector: Any, place: Any) -> Any:
    value = builder.load(builder.bitcast(place, vector.as_pointer()))
    value.align = 4
    return value


def store(builder: Any, value: Any, place: Any) -> None:
    builder.store(value, builder.bitcast(place, value.type.as_pointer())).align = 4


def rounded(builder: Any, low: Any, high: Any) -> Any:
    """Two vectors of 16 float32 as one of 32 bfloat16, low's first; to the nearest, ties to even, a NaN stays one."""
    pairs = ir.VectorType(BFLOAT, 32)
    kind = ir.FunctionType(pairs, [low.type, low.type])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512bf16.cvtne2ps2bf16.512")
    return builder.call(function, [high, low])


def interleaved(builder: Any, low: Any, high: Any) -> Any:
    """Two vectors of 16 float32 as 16 pairs of bfloat16, one above the other."""
    halves = ir.VectorType(ir.IntType(16), 32)
    both = builder.bitcast(rounded(builder, low, high), halves)
    order = ir.Constant(ir.VectorType(_INT32, 32), [i // 2 + i % 2 * 16 for i in range(32)])
    return builder.shuffle_vector(both, ir.Constant(halves, ir.Undefined), order)


@intrinsic
def interleaved_pairs(typingctx: Any, low: Any, high: Any, count: Any, target: Any, ahead: Any) -> Any:
    """`count` (a multiple of 16) numbers of one row and of the next, as pairs of one above the other; what lies
    `ahead` bytes behind them is asked for."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        floats = ir.VectorType(ir.FloatType(), 16)
        low, high = (builder.inttoptr(value, ir.FloatType().as_pointer()) for value in args[:2])
        target = builder.inttoptr(args[3], _INT32.as_pointer())
        with cgutils.for_range(builder, builder.lshr(args[2], _INT(4)), intp=_INT) as loop:
            place = builder.shl(loop.index, _INT(4))
            first, second = (_load(builder, floats, builder.gep(row, [place])) for row in (low, high))
            for row in (low, high):
                prefetch(builder, builder.gep(builder.bitcast(builder.gep(row, [place]), BYTES), [args[4]]))
            store(builder, interleaved(builder, first, second), builder.gep(target, [place]))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), codegen


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """As many vectors as they have lanes."""
    lanes = len(rows)
    indices = ir.VectorType(_INT32, lanes)
    low, high = (
        ir.Constant(indices, [i // 2 + start + i % 2 * lanes for i in range(lanes)]) for start in (0, lanes // 2)
    )
    # Interleaving the first half of the rows with the second, again and again, is a transposition.
    for _ in range(lanes.bit_length() - 1):
        halves = zip(rows[: lanes // 2], rows[lanes // 2 :], strict=True)
        rows = [builder.shuffle_vector(a, b, order) for a, b in halves for order in (low, high)]
    return rows


def _lanes_below(builder: Any, count: Any, lanes: int) -> Any:
    """The mask of the first `count` lanes; count: an integer of 64 bits."""
    indices = ir.VectorType(_INT32, lanes)
    undefined = ir.Constant(indices, ir.Undefined)
    spread = builder.insert_element(undefined, builder.trunc(count, _INT32), _INT32(0))
    spread = builder.shuffle_vector(spread, undefined, ir.Constant(indices, [0] * lanes))
    return builder.icmp_signed("<", ir.Constant(indices, list(range(lanes))), spread)


def _load_lanes(builder: Any, mask: Any, place: Any) -> Any:
    """float32 numbers where the mask is set, zeros elsewhere."""
    vector = ir.VectorType(ir.FloatType(), mask.type.count)
    kind = ir.FunctionType(vector, [vector.as_pointer(), _INT32, mask.type, vector])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.load.v{mask.type.count}f32.p0")
    place = builder.bitcast(place, vector.as_pointer())
    return builder.call(function, [place, _INT32(4), mask, ir.Constant(vector, [0.0] * mask.type.count)])


def _store_lanes(builder: Any, value: Any, mask: Any, place: Any) -> None:
    """Integers of 32 bits where the mask is set."""
    kind = ir.FunctionType(ir.VoidType(), [value.type, value.type.as_pointer(), _INT32, mask.type])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.v{mask.type.count}i32.p0")
    builder.call(function, [value, builder.bitcast(place, value.type.as_pointer()), _INT32(4), mask])


@intrinsic
def round_row(typingctx: Any, source: Any, count: Any, target: Any) -> Any:
    """`count` float32 as bfloat16 behind one another; one more, 0, where their number is odd."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        floats, words = ir.VectorType(ir.FloatType(), 16), ir.VectorType(_INT32, 16)
        source = builder.inttoptr(args[0], ir.FloatType().as_pointer())
        target = builder.inttoptr(args[2], _INT32.as_pointer())
        whole = builder.lshr(args[1], _INT(5))
        with cgutils.for_range(builder, whole, intp=_INT) as loop:
            place = builder.gep(source, [builder.shl(loop.index, _INT(5))])
            low, high = (_load(builder, floats, builder.gep(place, [_INT(at)])) for at in (0, 16))
            both = builder.bitcast(rounded(builder, low, high), words)
            store(builder, both, builder.gep(target, [builder.shl(loop.index, _INT(4))]))
        left = builder.and_(args[1], _INT(31))
        with builder.if_then(builder.icmp_signed(">", left, _INT(0))):
            place = builder.gep(source, [builder.shl(whole, _INT(5))])
            masks = [_lanes_below(builder, builder.sub(left, _INT(at)), 16) for at in (0, 16)]
            low, high = (
                _load_lanes(builder, mask, builder.gep(place, [_INT(at)]))
                for mask, at in zip(masks, (0, 16), strict=True)
            )
            both = builder.bitcast(rounded(builder, low, high), words)
            used = _lanes_below(builder, builder.lshr(builder.add(left, _INT(1)), _INT(1)), 16)
            _store_lanes(builder, both, used, builder.gep(target, [builder.shl(whole, _INT(4))]))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@intrinsic
def transpose_pairs(typingctx: Any, source: Any, row: Any, height: Any, width: Any, target: Any, step: Any) -> Any:
    """Up to 32 rows of up to 16 float32 as bfloat16, transposed: each column's 32 numbers behind one another, zeros
    below the last row. row, step: bytes from row to row, and from column to column of the target."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, row, height, width, target, step = args
        pointer = ir.FloatType().as_pointer()
        words = ir.VectorType(_INT32, 16)
        inside = _lanes_below(builder, width, 16)
        nothing = ir.Constant(inside.type, [0] * 16)
        vectors = []
        for i in range(32):
            there = builder.icmp_signed("<", _INT(i), height)
            place = builder.inttoptr(builder.add(source, builder.mul(row, _INT(i))), pointer)
            vectors.append(_load_lanes(builder, builder.select(there, inside, nothing), place))
        pairs = [builder.bitcast(interleaved(builder, *vectors[i : i + 2]), words) for i in range(0, 32, 2)]
        everywhere = ir.Constant(inside.type, [1] * 16)
        for l, column in enumerate(_transposed(builder, pairs)):
            place = builder.inttoptr(builder.add(target, builder.mul(step, _INT(l))), _INT32.as_pointer())
            used = builder.select(builder.icmp_signed("<", _INT(l), width), everywhere, nothing)
            _store_lanes(builder, column, used, place)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6), codegen


@intrinsic
def transpose(
    typingctx: Any, kind: Any, source: Any, row: Any, height: Any, target: Any, step: Any, keep: Any
) -> Any:
    """A block of as many rows as a vector has lanes, and as many numbers of `kind` a row, transposed.

    Row i begins at source + i row numbers; rows from `height` on are read as zeros. The first `keep` numbers of
    column l are written to target + l step. For pairs a row has twice as many float32, which are rounded."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes, pairs = lanes_of(kind), has_two(kind)
        number = context.get_value_type(kind)
        real = ir.FloatType() if pairs else number
        vector, reals = ir.VectorType(number, lanes), ir.VectorType(real, lanes)
        source = builder.inttoptr(args[1], real.as_pointer())
        target = builder.inttoptr(args[4], number.as_pointer())
        rows = []
        for i in range(lanes):
            there = builder.icmp_signed("<", _INT(i), args[3])
            offset = builder.select(there, builder.mul(args[2], _INT(i)), _INT(0))
            place = builder.gep(source, [offset])
            value = _load(builder, reals, place)
            if pairs:
                value = rounded(builder, value, _load(builder, reals, builder.gep(place, [_INT(lanes)])))
                value = builder.bitcast(value, vector)
            rows.append(builder.select(there, value, ir.Constant(vector, [0] * lanes)))
        rows = _transposed(builder, rows)
        mask = _lanes_below(builder, args[6], lanes)
        suffix = "f64" if kind == types.float64 else "i32" if pairs else "f32"
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [vector, vector.as_pointer(), _INT32, mask.type]),
            f"llvm.masked.store.v{lanes}{suffix}.p0",
        )
        for l, value in enumerate(rows):
            place = builder.bitcast(builder.gep(target, [builder.mul(args[5], _INT(l))]), vector.as_pointer())
            builder.call(function, [value, place, _INT32(4), mask])
        return context.get_dummy_value()

    return types.void(kind, *[types.intp] * 6), codegen
