"""The exponential function, elementwise, for kernels.

In float32 it is a short polynomial that LLVM turns into vector code; in float64 the C library's exp. Which one a
kernel gets is decided by the type of its argument, so the kernel that is checked in float64 is the one that trains in
float32.

    exp(x) = 2^n exp(r),  n = round(x / ln 2),  r = x - n ln 2,  |r| <= ln 2 / 2     (Cody & Waite 1980, ch. 6)
             exp(r) by the polynomial of Cephes' expf (Moshier), relative error below 2e-7
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload, register_jitable

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
def exp32(x):
    """e^x of a float32 scalar."""
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


def exp(x):
    """e^x of a scalar, float32 or float64."""
    raise NotImplementedError("for kernels only")


@overload(exp, inline="always")
def _exp(x):
    if x == types.float32:
        return lambda x: exp32(x)
    return lambda x: math.exp(x)
