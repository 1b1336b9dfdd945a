"""exp, sigmoid, tanh and a row's largest number, for kernels.

In float32 they are short polynomials that LLVM turns into vector code; in float64 the exact functions of the C
library. Which one a kernel gets is decided by the type of its argument, so the kernel that is checked in float64 is
the one that trains in float32.

    exp(x)     = 2^n exp(r),  n = round(x / ln 2),  r = x - n ln 2,  |r| <= ln 2 / 2     (Cody & Waite 1980, ch. 6)
                 exp(r) by the polynomial of Cephes' expf (Moshier), relative error below 2e-7
    sigmoid(x) = 1 / (1 + exp(-x))
    tanh(x)    = 1 - 2 / (1 + exp(2 x)), and near 0, where that would cancel, x + x^3 p(x^2) (Cephes' tanhf)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload, register_jitable

from rnnlm.kernels.jit import jit

_F = np.float32


@intrinsic
def _power_of_two(typingctx: Any, n: Any) -> Any:
    """2^n as a float32, for a whole number n in [-126, 127] held in a float32: n + 127 is the exponent's bits."""
    if n != types.float32:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        int32 = ir.IntType(32)
        whole = builder.fptosi(args[0], int32)
        bits = builder.shl(builder.add(whole, int32(127)), int32(23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.float32), codegen


@register_jitable
def _exp32(x):
    # Below -87.3 the result would be subnormal: 2^-126 stands for 0 there. Above 88.7 it would overflow. Written so
    # that a NaN passes through both comparisons unchanged.
    x = _F(-87.33) if x < _F(-87.33) else x
    x = _F(88.37) if x > _F(88.37) else x
    n = np.rint(x * _F(1.44269504088896341))
    r = x - n * _F(0.693359375)
    r = r + n * _F(2.12194440e-4)
    p = _F(1.9875691500e-4)
    p = p * r + _F(1.3981999507e-3)
    p = p * r + _F(8.3334519073e-3)
    p = p * r + _F(4.1665795894e-2)
    p = p * r + _F(1.6666665459e-1)
    p = p * r + _F(5.0000001201e-1)
    p = p * r * r + r + _F(1.0)
    return p * _power_of_two(n)


@register_jitable
def _tanh32(x):
    one, two = _F(1.0), _F(2.0)
    s = x * x
    p = _F(-5.70498872745e-3)
    p = p * s + _F(2.06390887954e-2)
    p = p * s + _F(-5.37397155531e-2)
    p = p * s + _F(1.33314422036e-1)
    p = p * s + _F(-3.33332819422e-1)
    near = p * s * x + x
    far = one - two / (one + _exp32(two * x))
    return near if abs(x) < _F(0.625) else far


def exp(x):
    """e^x."""
    raise NotImplementedError("for kernels only")


def sigmoid(x):
    """1 / (1 + e^-x)."""
    raise NotImplementedError("for kernels only")


def tanh(x):
    """The hyperbolic tangent."""
    raise NotImplementedError("for kernels only")


@overload(exp, inline="always")
def _exp(x):
    if x == types.float32:
        return lambda x: _exp32(x)
    return lambda x: math.exp(x)


@overload(sigmoid, inline="always")
def _sigmoid(x):
    if x == types.float32:
        return lambda x: _F(1.0) / (_F(1.0) + _exp32(-x))
    return lambda x: 1.0 / (1.0 + math.exp(-x))


@overload(tanh, inline="always")
def _tanh(x):
    if x == types.float32:
        return lambda x: _tanh32(x)
    return lambda x: math.tanh(x)


@jit
def largest(row):
    """The largest number of a one-dimensional array. A NaN in it may be passed over: the sum of exponentials shows
    it.

    LLVM does not vectorise the plain loop, since the largest of numbers with a NaN depends on their order. 64 maxima
    side by side, each its own plain loop, it does: a third of the time.
    """
    lanes = 64
    whole = row.size // lanes * lanes
    result = row[0]
    if whole > 2 * lanes:
        maxima = np.full(lanes, row[0], row.dtype)
        for j in range(0, whole, lanes):
            for k in range(lanes):
                maxima[k] = row[j + k] if row[j + k] > maxima[k] else maxima[k]
        for k in range(lanes):
            result = maxima[k] if maxima[k] > result else result
    else:
        whole = 0
    for j in range(whole, row.size):
        result = row[j] if row[j] > result else result
    return result


@jit
def exp_sum(row, shift):
    """row := exp(row - shift); returns the sum in the row's type."""
    total = row.dtype.type(0)
    for j in range(row.size):
        e = exp(row[j] - shift)
        row[j] = e
        total += e
    return total
