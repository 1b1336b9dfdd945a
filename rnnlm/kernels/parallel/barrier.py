"""The barrier: threads wait for each other inside a kernel.

    wait(thread)               # nobody goes on before all threads have come here

A thread that waits looks again and again (25 ns), and lets others have the core when that takes long: with fewer
cores than threads the one that is waited for has to run somewhere."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rnnlm.kernels.jit import jit

# Numbers from one thread's count to the next: two cache lines.
_APART = 16
# Looks before the core is given up.
_PATIENCE = 2000

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
def _look(typingctx: Any, flags: Any, index: Any) -> Any:
    """flags[index], read anew each time, and nothing that comes after it is read before it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _ON_X86:  # lets the other hyper-thread run
            pause = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, pause, "llvm.x86.sse2.pause"), [])
        return builder.load_atomic(_place(context, builder, signature, args), "acquire", 8)

    return types.int64(flags, types.intp), codegen


@intrinsic
def _count(typingctx: Any, flags: Any, index: Any) -> Any:
    """flags[index] += 1 for all threads to see, with all that was written before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.atomic_rmw("add", _place(context, builder, signature, args), _INT(1), "acq_rel")
        return context.get_dummy_value()

    return types.void(flags, types.intp), codegen


@intrinsic
def _give_way(typingctx: Any) -> Any:
    """Let another thread have the core."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "rnnlm_yield"), [])
        return context.get_dummy_value()

    return types.void(), codegen


def arrivals(threads: int) -> np.ndarray:
    """What a barrier counts: how many arrivals there were of all threads, and behind it those of each thread."""
    return np.zeros((threads + 1) * _APART, np.int64)


@jit
def wait(thread):
    """Wait until all threads have come here."""
    if thread.threads == 1:
        return
    own = (thread.number + 1) * _APART
    thread.arrivals[own] += 1
    everybody = thread.arrivals[own] * thread.threads
    _count(thread.arrivals, 0)
    looks = 0
    while _look(thread.arrivals, 0) < everybody:
        looks += 1
        if looks > _PATIENCE:
            _give_way()


@jit
def reaches(flags, index, value, looks):
    """Whether flags[index] reaches `value` within so many looks."""
    for _ in range(looks):  # noqa: SIM110 (not in kernels)
        if _look(flags, index) >= value:
            return True
    return False
