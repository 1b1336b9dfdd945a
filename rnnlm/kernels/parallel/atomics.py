"""Atomic operations on the words that threads share, and the two ways to wait for one."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_INT = ir.IntType(64)
if sys.platform == "win32":
    _yield = ctypes.WinDLL("kernel32").SwitchToThread
else:
    _yield = ctypes.CDLL(None).sched_yield
llvmlite.binding.add_symbol("rnnlm_yield", ctypes.cast(_yield, ctypes.c_void_p).value)
_ON_X86 = llvmlite.binding.get_process_triple().split("-")[0] in ("x86_64", "i686", "amd64")


def _place(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    return builder.gep(data, [args[1]])


@intrinsic
def look(typingctx: Any, words: Any, index: Any) -> Any:
    """words[index], read anew each time, and nothing that comes after it is read before it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _ON_X86:  # lets the other hyper-thread run
            pause = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, pause, "llvm.x86.sse2.pause"), [])
        return builder.load_atomic(_place(context, builder, signature, args), "acquire", 8)

    return types.int64(words, types.intp), codegen


@intrinsic
def count(typingctx: Any, words: Any, index: Any) -> Any:
    """words[index] += 1 for all threads to see, with all that was written before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.atomic_rmw("add", _place(context, builder, signature, args), _INT(1), "acq_rel")
        return context.get_dummy_value()

    return types.void(words, types.intp), codegen


@intrinsic
def tell(typingctx: Any, words: Any, index: Any, value: Any) -> Any:
    """words[index] = value for all threads to see, with all that was written before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[2], _place(context, builder, signature, args), "release", 8)
        return context.get_dummy_value()

    return types.void(words, types.intp, types.int64), codegen


@intrinsic
def swap(typingctx: Any, words: Any, index: Any, before: Any, value: Any) -> Any:
    """words[index] = value, if it is `before`; whether it was."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature, args)
        return builder.extract_value(builder.cmpxchg(place, args[2], args[3], "seq_cst", "seq_cst"), 1)

    return types.boolean(words, types.intp, types.int64, types.int64), codegen


@intrinsic
def give_way(typingctx: Any) -> Any:
    """Let another thread have the core."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "rnnlm_yield"), [])
        return context.get_dummy_value()

    return types.void(), codegen
