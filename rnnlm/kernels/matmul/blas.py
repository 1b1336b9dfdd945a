"""BLAS inside kernels: SciPy's gemm, called from compiled code.

``gemm(a, b, out, transpose_a, transpose_b, accumulate)`` computes ``out = op(a) op(b)`` or, with `accumulate`,
``out += op(a) op(b)``, where op(a) is a or a'. Arrays are two-dimensional and row-major with contiguous rows (a row
may be longer than what is used: the stride between rows is read from the array). Nothing is copied or allocated.

BLAS works on column-major matrices. A row-major matrix is the transpose of a column-major one, and out' = op(b)'
op(a)', so the operands change places and nothing else.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic

from rnnlm.kernels.jit import jit

_SYMBOLS = {types.float32: ("rnnlm_sgemm", "sgemm"), types.float64: ("rnnlm_dgemm", "dgemm")}

# By name, so that code from the cache finds the routine wherever this process has loaded it.
for _name, _routine in _SYMBOLS.values():
    llvmlite.binding.add_symbol(_name, get_cython_function_address("scipy.linalg.cython_blas", _routine))


@intrinsic
def _call(typingctx: Any, a: Any, b: Any, out: Any, m: Any, n: Any, k: Any, lda: Any, ldb: Any, ldc: Any,
          transpose_a: Any, transpose_b: Any, accumulate: Any) -> Any:  # fmt: skip
    """xGEMM on raw data pointers. Leading dimensions in elements; m, n, k of the row-major product."""
    dtype = out.dtype
    if dtype not in _SYMBOLS or a.dtype != dtype or b.dtype != dtype:
        return None
    symbol = _SYMBOLS[dtype][0]
    signature = types.void(a, b, out, *([types.intc] * 6), types.boolean, types.boolean, types.boolean)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        byte, int32 = ir.IntType(8), ir.IntType(32)
        real = context.get_value_type(dtype)

        def slot(value: Any) -> Any:
            # In the entry block: a slot made inside a loop would take new stack at every turn.
            pointer = cgutils.alloca_once(builder, value.type)
            builder.store(value, pointer)
            return pointer

        def data(index: int) -> Any:
            return context.make_array(sig.args[index])(context, builder, args[index]).data

        def letter(flag: Any) -> Any:
            flag = builder.icmp_unsigned("!=", flag, flag.type(0))
            return slot(builder.select(flag, byte(ord("T")), byte(ord("N"))))

        m_, n_, k_, lda_, ldb_, ldc_ = (slot(value) for value in args[3:9])
        one = slot(ir.Constant(real, 1.0))
        adds = builder.icmp_unsigned("!=", args[11], args[11].type(0))
        beta = slot(builder.select(adds, ir.Constant(real, 1.0), ir.Constant(real, 0.0)))
        reals, ints = real.as_pointer(), int32.as_pointer()
        kinds = [byte.as_pointer()] * 2 + [ints] * 3 + [reals, reals, ints, reals, ints, reals, reals, ints]
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), kinds), symbol)
        builder.call(
            function,
            [letter(args[10]), letter(args[9]), n_, m_, k_, one, data(1), ldb_, data(0), lda_, beta, data(2), ldc_],
        )
        return context.get_dummy_value()

    return signature, codegen


@jit
def gemm(a, b, out, transpose_a, transpose_b, accumulate):
    """out (m x n) = op(a) (m x k) op(b) (k x n), added to out when `accumulate`. See the module for what is
    allowed."""
    m, n = out.shape
    k = a.shape[0] if transpose_a else a.shape[1]
    if m == 0 or n == 0:
        return
    if k == 0:  # BLAS refuses the strides that empty arrays have
        if not accumulate:
            out[:] = 0
        return
    item = out.itemsize
    _call(
        a, b, out, m, n, k,
        max(1, a.strides[0] // item), max(1, b.strides[0] // item), max(1, out.strides[0] // item),
        transpose_a, transpose_b, accumulate,
    )  # fmt: skip
