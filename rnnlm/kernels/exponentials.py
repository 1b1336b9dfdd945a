"""exp over the rows of a panel of logits, with each row's sum and largest logit kept on the side, vector by vector.

    z[r, j] + b[j]  ->  e[r, j] = exp(z[r, j] + b[j] - shift[r])        sums[r] += e,  tops[r] = max(tops[r], z + b)

sums and tops have one number a lane; `lane_sum` adds them up. The exponential is that of ``kernels.maths``: in
float32 the same polynomial, in float64 Taylor's to the 13th power on |x| <= ln 2 / 2, whose first term left out is
4e-18."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rnnlm.kernels.jit import jit
from rnnlm.kernels.micro import address, lanes_of

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


@intrinsic
def _exp_rows(typingctx: Any, zero: Any, panel: Any, rows: Any, bias: Any, shift: Any, sums: Any, tops: Any) -> Any:
    signature = types.void(zero, *([types.intp] * 6))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        real, lanes = context.get_value_type(zero), lanes_of(zero)
        vector = ir.VectorType(real, lanes)
        size = 4 if isinstance(real, ir.FloatType) else 8
        panel_, bias_, shift_, sums_, tops_ = (builder.inttoptr(args[i], real.as_pointer()) for i in (1, 3, 4, 5, 6))
        spread = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)

        def load(base: Any, offset: Any) -> Any:
            value = builder.load(builder.bitcast(builder.gep(base, [offset]), vector.as_pointer()))
            value.align = size
            return value

        def store(value: Any, base: Any, offset: Any) -> None:
            builder.store(value, builder.bitcast(builder.gep(base, [offset]), vector.as_pointer())).align = size

        biases = [load(bias_, _INT(lanes * v)) for v in range(2)]
        with cgutils.for_range(builder, args[2], intp=_INT) as loop:
            r = loop.index
            number = builder.load(builder.gep(shift_, [r]))
            number = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.IntType(32)(0))
            number = builder.shuffle_vector(number, ir.Constant(vector, ir.Undefined), spread)
            lane = builder.mul(r, _INT(lanes))
            top, total = load(tops_, lane), load(sums_, lane)
            for v in range(2):
                place = builder.add(builder.mul(r, _INT(2 * lanes)), _INT(lanes * v))
                z = builder.fadd(load(panel_, place), biases[v])
                top = builder.select(builder.fcmp_ordered(">", z, top), z, top)
                e = _exp(builder, vector, builder.fsub(z, number))
                store(e, panel_, place)
                total = builder.fadd(total, e)
            store(top, tops_, lane)
            store(total, sums_, lane)
        return context.get_dummy_value()

    return signature, codegen


@jit
def exp_rows(z, rows, bias, shift, sums, tops):
    """One panel (rows x NR), in place. All flat: bias has NR numbers, shift one a row, sums and tops a vector a
    row."""
    _exp_rows(z.dtype.type(0), address(z), rows, address(bias), address(shift), address(sums), address(tops))


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
