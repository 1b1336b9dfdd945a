"""Functions that kernels call by name, like a BLAS, instead of taking them in.

Numba gives each kernel its own copy of every function it calls, and LLVM optimises that copy again, once for each
function in between: what takes half a second to compile alone takes ten in a kernel. A function made by `by_name` is
compiled once for each type of number; kernels call its address, under a name that `load` makes known to LLVM. So
`load` comes before the first kernel that has such a call, also where both are read from the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rnnlm.kernels.jit import FASTMATH

_functions: list[tuple[str, Callable[[Any], list[Any]], Callable[..., None]]] = []
_loaded: dict[Any, list[Any]] = {}


def by_name(name: str, arguments: Callable[[Any], list[Any]], function: Callable[..., None]) -> Any:
    """What a kernel calls to run `function`, compiled for the type of its first argument.

    Args:
        arguments: from that type the types of all arguments: numbers and pointers. Arrays are given for pointers.
    """
    _functions.append((name, arguments, function))

    def call(typingctx: Any, *given: Any) -> Any:
        kind = given[0]
        wanted = arguments(kind)
        signature = types.void(*(a if isinstance(a, types.Array) else w for a, w in zip(given, wanted, strict=True)))

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values = []
            for array, want, value in zip(signature.args, wanted, args, strict=True):
                if isinstance(array, types.Array):
                    value = context.make_array(array)(context, builder, value).data
                elif want == types.boolean:
                    value = builder.zext(value, ir.IntType(8)) if value.type.width == 1 else value
                values.append(value)
            function_type = ir.FunctionType(ir.VoidType(), [value.type for value in values])
            target = cgutils.get_or_insert_function(builder.module, function_type, f"rnnlm_{name}_{kind}")
            builder.call(target, values)
            return context.get_dummy_value()

        return signature, codegen

    return intrinsic(_with_arity(call, len(arguments(types.float32))))


def _with_arity(call: Callable[..., Any], count: int) -> Callable[..., Any]:
    """An intrinsic's arguments are read off its definition."""
    names = ", ".join(f"a{i}" for i in range(count))
    space: dict[str, Any] = {"call": call}
    exec(f"def fixed(typingctx, {names}):\n    return call(typingctx, {names})", space)
    return space["fixed"]


def load(dtype: Any) -> None:
    """Compile these functions for products of operands of this type, or read them from the cache."""
    kind = numba.from_dtype(np.dtype(dtype))
    if kind in _loaded:
        return
    compiled = []
    for name, arguments, function in _functions:
        signature = types.void(*arguments(kind))
        made = numba.cfunc(signature, cache=True, fastmath=FASTMATH, error_model="numpy")(function)
        llvmlite.binding.add_symbol(f"rnnlm_{name}_{kind}", made.address)
        compiled.append(made)
    _loaded[kind] = compiled
