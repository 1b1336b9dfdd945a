"""The bits of float32 numbers, and pairs of bfloat16."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from rnnlm.kernels.jit import jit


@intrinsic
def as_bits(typingctx, x):
    """The 32 bits of a float32."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(32))

    return types.uint32(types.float32), codegen


@intrinsic
def as_float(typingctx, bits):
    """The float32 that has these 32 bits."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), codegen


@jit
def rounded_bits(bits):
    """The bits of a float32, rounded so that the upper half is the nearest bfloat16, ties to even; a NaN stays
    one."""
    x, one = as_float(bits), np.uint32(1)
    even = np.uint32(bits >> np.uint32(16)) & one
    return np.uint32(bits | np.uint32(0x400000)) if x != x else np.uint32(bits + np.uint32(0x7FFF) + even)


@jit
def pair(low, high):
    """Two float32 as bfloat16 in one uint32."""
    upper = rounded_bits(as_bits(high)) & np.uint32(0xFFFF0000)
    return np.uint32((rounded_bits(as_bits(low)) >> np.uint32(16)) | upper)


@jit
def unpaired(both):
    """The two bfloat16 of one uint32, as float32."""
    return as_float(np.uint32(both << np.uint32(16))), as_float(np.uint32(both & np.uint32(0xFFFF0000)))
