"""Transposition of blocks, and rounding of float32 to pairs of bfloat16, by vectors.

All arguments are addresses and numbers of numbers; ``matmul.pack`` does what does not fill a vector.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rnnlm.kernels.matmul.layout import lanes_of
from rnnlm.kernels.matmul.tile import BFLOAT

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
def interleaved_pairs(typingctx: Any, low: Any, high: Any, count: Any, target: Any) -> Any:
    """`count` (a multiple of 16) numbers of one row and of the next, as pairs of one above the other."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        floats = ir.VectorType(ir.FloatType(), 16)
        low, high = (builder.inttoptr(value, ir.FloatType().as_pointer()) for value in args[:2])
        target = builder.inttoptr(args[3], _INT32.as_pointer())
        with cgutils.for_range(builder, builder.lshr(args[2], _INT(4)), intp=_INT) as loop:
            place = builder.shl(loop.index, _INT(4))
            first, second = (_load(builder, floats, builder.gep(row, [place])) for row in (low, high))
            store(builder, interleaved(builder, first, second), builder.gep(target, [place]))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp), codegen


@intrinsic
def transpose(
    typingctx: Any, kind: Any, source: Any, row: Any, height: Any, target: Any, step: Any, keep: Any
) -> Any:
    """A block of as many rows as a vector has lanes, and as many numbers of `kind` a row, transposed.

    Row i begins at source + i row numbers; rows from `height` on are read as zeros. The first `keep` numbers of
    column l are written to target + l step. For pairs a row has twice as many float32, which are rounded."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes, pairs = lanes_of(kind), kind == types.uint32
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
        # Interleaving the first half of the rows with the second, again and again, is a transposition.
        indices = ir.VectorType(_INT32, lanes)
        low, high = (
            ir.Constant(indices, [i // 2 + start + i % 2 * lanes for i in range(lanes)]) for start in (0, lanes // 2)
        )
        for _ in range(lanes.bit_length() - 1):
            halves = zip(rows[: lanes // 2], rows[lanes // 2 :], strict=True)
            rows = [builder.shuffle_vector(a, b, order) for a, b in halves for order in (low, high)]
        undefined = ir.Constant(indices, ir.Undefined)
        count = builder.insert_element(undefined, builder.trunc(args[6], _INT32), _INT32(0))
        count = builder.shuffle_vector(count, undefined, ir.Constant(indices, [0] * lanes))
        mask = builder.icmp_signed("<", ir.Constant(indices, list(range(lanes))), count)
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
