"""Routines that kernels call by name, like a BLAS, instead of inlining them.

Numba gives each kernel its own copy of every function it calls, and LLVM optimises that copy again, once for each
function in between: what takes half a second to compile alone takes ten in a kernel. A `Routine` is compiled once for
each type of number. Kernels call its address (`call_by_name`), under a name that `load` makes known to LLVM. So
`load` comes before the first kernel that has such a call, also where both are read from the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.ccallback import CFunc
from numba.extending import intrinsic

from rnnlm.kernels.compiled import CompiledCode
from rnnlm.kernels.compiling import compiling
from rnnlm.kernels.jit import FASTMATH


class Routine(NamedTuple):
    """A function to be called by name."""

    name: str
    # From the type of the first argument, the types of all of them: numbers and pointers.
    arguments: Callable[[Any], list[Any]]
    function: Callable[..., None]

    def symbol(self, kind: Any) -> str:
        """The name of what is compiled for first arguments of this type."""
        return f"rnnlm_{self.name}_{kind}"


_loaded: dict[str, Any] = {}


def load(routines: Iterable[Routine], dtype: Any) -> None:
    """Compile routines for a first argument of this type, or read them from the cache."""
    for routine in routines:
        address(routine, dtype)


def address(routine: Routine, dtype: Any) -> int:
    """Where a routine lies; it is loaded first."""
    kind = numba.from_dtype(np.dtype(dtype))
    symbol = routine.symbol(kind)
    if symbol not in _loaded:
        options = {"fastmath": FASTMATH, "error_model": "numpy"}
        signature = (tuple(routine.arguments(kind)), types.void)
        made: Any = CFunc(routine.function, signature, locals={}, options=options)
        made._cache = CompiledCode(routine.function)
        with compiling():
            made.compile()
        llvmlite.binding.add_symbol(symbol, made.address)
        _loaded[symbol] = made
    return int(_loaded[symbol].address)


def call_by_name(routine: Routine) -> Any:
    """What a kernel calls to run the routine. Arrays are given for pointers."""

    def call(typingctx: Any, *given: Any) -> Any:
        kind = given[0]
        wanted = routine.arguments(kind)
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
            target = cgutils.get_or_insert_function(builder.module, function_type, routine.symbol(kind))
            builder.call(target, values)
            return context.get_dummy_value()

        return signature, codegen

    return intrinsic(_with_arity(call, len(routine.arguments(types.float32))))


def _with_arity(call: Callable[..., Any], count: int) -> Callable[..., Any]:
    """An intrinsic's arguments are read off its definition."""
    names = ", ".join(f"a{i}" for i in range(count))
    space: dict[str, Any] = {"call": call}
    exec(f"def fixed(typingctx, {names}):\n    return call(typingctx, {names})", space)
    return space["fixed"]
