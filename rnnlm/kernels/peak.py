"""The rate of the multiply-add units: what no matrix product can be faster than.

A loop of independent multiply-adds in registers, nothing loaded and nothing stored, on all threads at once: by
vectors, by pairs of bfloat16, or by AMX's tiles, as products of an operand's layout are done.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numpy.typing import DTypeLike

from rnnlm.kernels.cpu import LANES32, LANES64
from rnnlm.kernels.matmul import amx
from rnnlm.kernels.matmul.instructions import BFLOAT
from rnnlm.kernels.matmul.layout import (
    BY_TILES,
    BFloat16Pairs,
    BFloat16x3Tiles,
    Layout,
    has_pairs,
    has_tiles,
    lanes_of,
)
from rnnlm.kernels.parallel.thread_pool import parallel

# Sums that grow side by side: more than a multiply-add has cycles of latency times units.
_SUMS = 12
_TURNS = 200_000


@intrinsic
def _vectors(typingctx: Any, number: Any, turns: Any) -> Any:
    """sums = sums x + y; number: of the type, and x. Returns one of the sums, so that they are computed."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = lanes_of(number)
        vector = ir.VectorType(context.get_value_type(number), lanes)
        x = _spread(builder, args[0], vector)
        kind = ir.FunctionType(vector, [vector] * 3)
        name = f"llvm.fmuladd.v{lanes}f{64 if number == types.float64 else 32}"
        fma = cgutils.get_or_insert_function(builder.module, kind, name)
        sums = _loop(builder, args[1], [x] * _SUMS, lambda sum_: builder.call(fma, [sum_, x, x]))
        return builder.extract_element(sums, ir.IntType(32)(0))

    return number(number, types.intp), codegen


@intrinsic
def _pairs(typingctx: Any, number: Any, turns: Any) -> Any:
    """The same with products of pairs of bfloat16, whatever numbers these are."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector, pairs = ir.VectorType(ir.FloatType(), 16), ir.VectorType(BFLOAT, 32)
        x = _spread(builder, args[0], vector)
        kind = ir.FunctionType(vector, [vector, pairs, pairs])
        dot = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512bf16.dpbf16ps.512")
        two = builder.bitcast(x, pairs)
        sums = _loop(builder, args[1], [x] * _SUMS, lambda sum_: builder.call(dot, [sum_, two, two]))
        return builder.extract_element(sums, ir.IntType(32)(0))

    return types.float32(types.float32, types.intp), codegen


def _spread(builder: Any, number: Any, vector: Any) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, number, ir.IntType(32)(0))
    return builder.shuffle_vector(
        one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    )


def _loop(builder: Any, turns: Any, sums: list[Any], step: Any) -> Any:
    """`turns` times each of the sums' next value; the sum of them all."""
    before, body, end = builder.block, *(builder.function.append_basic_block(name) for name in ("body", "end"))
    builder.branch(body)
    builder.position_at_end(body)
    turn = builder.phi(turns.type)
    turn.add_incoming(turns.type(0), before)
    phis = []
    for value in sums:
        phi = builder.phi(value.type)
        phi.add_incoming(value, before)
        phis.append(phi)
    found = [step(phi) for phi in phis]
    following = builder.add(turn, turns.type(1))
    for phi, value in zip((turn, *phis), (following, *found), strict=True):
        phi.add_incoming(value, body)
    builder.cbranch(builder.icmp_signed("<", following, turns), body, end)
    builder.position_at_end(end)
    total = found[0]
    for value in found[1:]:
        total = builder.fadd(total, value)
    return total


def _multiply_add(operand, number, turns):
    """The loop that goes with this operand's layout."""
    raise NotImplementedError("for kernels only")


@overload(_multiply_add)
def _multiply_add_impl(operand, number, turns):
    if has_tiles(operand):

        def tiles(operand, number, turns):
            amx.multiply_only(turns)
            return number

        return tiles
    if has_pairs(operand):
        return lambda operand, number, turns: _pairs(number, turns)
    return lambda operand, number, turns: _vectors(number, turns)


@parallel
def _run(thread, operand, number, turns, out):
    """Each thread the whole loop. out: a number a thread."""
    out[thread.number] = _multiply_add(operand, number, turns)


def rate(layout: Layout, dtype: DTypeLike, threads: int) -> float:
    """GFLOP/s of all threads, the best of some tries; of `BFloat16x3Tiles` a third of the tiles' rate, since each
    product takes three. The process may use the layout (``matmul.choice``)."""
    kind = np.dtype(dtype)
    operand, number = layout(np.zeros(1, np.uint32)), np.asarray(0.5, kind)[()]
    out = np.zeros(threads, kind)
    lanes = LANES64 if kind == np.float64 else LANES32
    a_turn = 2 * _SUMS * lanes * (2 if layout is BFloat16Pairs else 1)
    if layout in BY_TILES:
        a_turn = amx.OPERATIONS
    _run(threads, operand, number, 1, out)
    best = float("inf")
    for _ in range(10):
        began = time.perf_counter()
        _run(threads, operand, number, _TURNS, out)
        best = min(best, time.perf_counter() - began)
    share = 3 if layout is BFloat16x3Tiles else 1
    return threads * a_turn * _TURNS / best / 1e9 / share
