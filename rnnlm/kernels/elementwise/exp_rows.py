"""Exponentials of a panel of logits, with each row's sum and largest logit.

They are computed vector by vector, the sums and maxima on the side.

    z[r, j] + b[j]  ->  e[r, j] = exp(z[r, j] + b[j] - shift[r])        sums[r] += e,  tops[r] = max(tops[r], z + b)

sums and tops have one number a lane; `lane_sum` adds them up. The exponential is that of ``elementwise.exp``: in
float32 the same polynomial, in float64 Taylor's to the 13th power on |x| <= ln 2 / 2, whose first term left out is
4e-18."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul import split
from rnnlm.kernels.matmul.instructions import address
from rnnlm.kernels.matmul.layout import has_parts, is_rounded, lanes_of
from rnnlm.kernels.matmul.transpose import interleaved, store

_INT = ir.IntType(64)

_CEPHES = (
    1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1.0, 1.0,
)  # fmt: skip
_TAYLOR = tuple(1 / math.factorial(k) for k in range(13, -1, -1))


def _exp(builder: Any, vector: Any, x: Any) -> Any:
    """exp of a vector: 2^n exp(r), n = round(x / ln 2), r = x - n ln 2."""
    single = isinstance(vector.element, ir.FloatType)
    lanes = vector.count

    def constant(value: float) -> Any:
        return ir.Constant(vector, [value] * lanes)

    def times_plus(a: Any, b: Any, c: Any) -> Any:
        return builder.fadd(builder.fmul(a, b, flags=["contract"]), c, flags=["contract"])

    # Below, 2^-126 (2^-1022) stands for 0; above it would overflow. A NaN passes through both comparisons.
    low, high = (-87.33, 88.37) if single else (-708.3, 709.4)
    x = builder.select(builder.fcmp_ordered("<", x, constant(low)), constant(low), x)
    x = builder.select(builder.fcmp_ordered(">", x, constant(high)), constant(high), x)
    kind = "f32" if single else "f64"
    rint = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector]), f"llvm.rint.v{lanes}{kind}"
    )
    n = builder.call(rint, [builder.fmul(x, constant(1.44269504088896341))])
    # ln 2 in two parts, the first with so few bits that n times it is exact.
    parts = (0.693359375, -2.12194440e-4) if single else (6.93145751953125e-1, 1.42860682030941723212e-6)
    r = times_plus(n, constant(-parts[0]), x)
    r = times_plus(n, constant(-parts[1]), r)
    coefficients = _CEPHES if single else _TAYLOR
    p = constant(coefficients[0])
    for coefficient in coefficients[1:]:
        p = times_plus(p, r, constant(coefficient))
    whole = ir.VectorType(ir.IntType(32 if single else 64), lanes)
    bias, mantissa = (127, 23) if single else (1023, 52)
    bits = builder.add(builder.fptosi(n, whole), ir.Constant(whole, [bias] * lanes))
    power = builder.bitcast(builder.shl(bits, ir.Constant(whole, [mantissa] * lanes)), vector)
    return builder.fmul(p, power)


class _Rows:
    """Writes the instructions for one row after the other."""

    def __init__(self, context: Any, builder: Any, zero: Any, operands: Any) -> None:
        """`operands`: the integers that `_exp_rows` takes."""
        self.builder, self.lanes = builder, lanes_of(zero)
        real = context.get_value_type(zero)
        self.vector = ir.VectorType(real, self.lanes)
        self.size = 4 if isinstance(real, ir.FloatType) else 8
        self.panel, bias, self.shift, self.sums, self.tops = (
            builder.inttoptr(value, real.as_pointer()) for value in operands
        )
        self.biases = [self._load(bias, _INT(self.lanes * v)) for v in range(2)]

    def emit(self, r: Any) -> list[Any]:
        """Row r; returns its two vectors of e."""
        builder, lanes, undefined = self.builder, self.lanes, ir.Constant(self.vector, ir.Undefined)
        number = builder.load(builder.gep(self.shift, [r]))
        number = builder.insert_element(undefined, number, ir.IntType(32)(0))
        spread = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
        number = builder.shuffle_vector(number, undefined, spread)
        lane = builder.mul(r, _INT(lanes))
        top, total = self._load(self.tops, lane), self._load(self.sums, lane)
        found = []
        for v in range(2):
            place = builder.add(builder.mul(r, _INT(2 * lanes)), _INT(lanes * v))
            z = builder.fadd(self._load(self.panel, place), self.biases[v])
            top = builder.select(builder.fcmp_ordered(">", z, top), z, top)
            exp_z = _exp(builder, self.vector, builder.fsub(z, number))
            self._store(exp_z, self.panel, place)
            total = builder.fadd(total, exp_z)
            found.append(exp_z)
        self._store(top, self.tops, lane)
        self._store(total, self.sums, lane)
        return found

    def _load(self, base: Any, offset: Any) -> Any:
        place = self.builder.gep(base, [offset])
        value = self.builder.load(self.builder.bitcast(place, self.vector.as_pointer()))
        value.align = self.size
        return value

    def _store(self, value: Any, base: Any, offset: Any) -> None:
        place = self.builder.gep(base, [offset])
        self.builder.store(value, self.builder.bitcast(place, self.vector.as_pointer())).align = self.size


@intrinsic
def _exp_rows(typingctx: Any, zero: Any, panel: Any, rows: Any, bias: Any, shift: Any, sums: Any, tops: Any) -> Any:
    signature = types.void(zero, *([types.intp] * 6))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lines = _Rows(context, builder, zero, [args[i] for i in (1, 3, 4, 5, 6)])
        with cgutils.for_range(builder, args[2], intp=_INT) as loop:
            lines.emit(loop.index)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _exp_rows_to_pairs(
    typingctx: Any, panel: Any, rows: Any, bias: Any, shift: Any, sums: Any, tops: Any, pairs: Any
) -> Any:
    signature = types.void(*([types.intp] * 7))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lines = _Rows(context, builder, types.float32, [args[i] for i in (0, 2, 3, 4, 5)])
        pairs = builder.inttoptr(args[6], ir.IntType(32).as_pointer())

        def round_two(r: Any, upper: list[Any], lower: list[Any]) -> None:
            for v in range(2):
                place = builder.add(builder.mul(r, _INT(16)), _INT(16 * v))
                store(builder, interleaved(builder, upper[v], lower[v]), builder.gep(pairs, [place]))

        with cgutils.for_range(builder, builder.lshr(args[1], _INT(1)), intp=_INT) as loop:
            r = builder.shl(loop.index, _INT(1))
            next_r = builder.add(r, _INT(1))
            round_two(r, lines.emit(r), lines.emit(next_r))
        with builder.if_then(builder.trunc(args[1], ir.IntType(1))):
            r = builder.sub(args[1], _INT(1))
            round_two(r, lines.emit(r), [ir.Constant(lines.vector, [0.0] * 16)] * 2)
        return context.get_dummy_value()

    return signature, codegen


def exp_rows(z, rows, bias, shift, sums, tops, packed):
    """One panel z (rows x NR), in place. All flat: bias has NR numbers, shift one a row, sums and tops a vector a
    row. packed: the panel as an operand; where that is not z itself, e is also written there, rounded."""
    raise NotImplementedError("for kernels only")


@overload(exp_rows)
def _exp_rows_impl(z, rows, bias, shift, sums, tops, packed):
    def plain(z, rows, bias, shift, sums, tops, packed):
        _exp_rows(z.dtype.type(0), address(z), rows, address(bias), address(shift), address(sums), address(tops))

    def pairs(z, rows, bias, shift, sums, tops, packed):
        _exp_rows_to_pairs(
            address(z), rows, address(bias), address(shift), address(sums), address(tops), address(packed.array)
        )

    def parts(z, rows, bias, shift, sums, tops, packed):
        _exp_rows(z.dtype.type(0), address(z), rows, address(bias), address(shift), address(sums), address(tops))
        split.pack_rows(z, rows, packed.array)

    return parts if has_parts(packed) else pairs if is_rounded(packed) else plain


@jit
def lane_sum(lanes, first, count):
    """The sum of a row's lanes, in float64."""
    result = 0.0
    for i in range(first, first + count):
        result += lanes[i]
    return result


@jit
def lane_top(lanes, first, count):
    """The largest of a row's lanes, in float64. A NaN in it may be passed over: the sum shows it."""
    result = np.float64(lanes[first])
    for i in range(first + 1, first + count):
        result = max(result, np.float64(lanes[i]))
    return result
