"""Routines that kernels call by name, like a BLAS, instead of inlining them.

Numba gives each kernel its own copy of every function it calls, and LLVM optimises that copy again, once for each
function in between: what takes half a second to compile alone takes ten in a kernel. A `Routine` is compiled once for
each type of number, when the first kernel that calls it (`call_by_name`) is compiled or read from the cache, and LLVM
is told its address under its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock
from numba.core.runtime import rtsys
from numba.extending import intrinsic

from rnnlm.kernels.compiled import CompiledCode
from rnnlm.kernels.compiling import FASTMATH, compiling_alone


class Routine(NamedTuple):
    """A function to be called by name."""

    name: str
    # From the type of the first argument, the types of all of them: numbers and pointers.
    arguments: Callable[[Any], list[Any]]
    function: Callable[..., None]

    def symbol(self, kind: Any) -> str:
        """The name of what is compiled for first arguments of this type."""
        return f"{_PREFIX}{self.name}_{kind}"


_PREFIX = "rnnlm_routine_"
_called: dict[str, Routine] = {}  # those that kernels call, by their names
_loaded: dict[str, Any] = {}


def named_in(library: Any) -> list[str]:
    """The names that a compiled function has of what is not part of it: routines, and functions of Python's and
    Numba's."""
    module = library._final_module
    declared = [value.name for value in (*module.functions, *module.global_variables) if value.is_declaration]
    return sorted(name for name in declared if _is_known(name))


def load(names: list[str], target_context: Any) -> None:
    """Make known what `named_in` has found: compile routines, or read them from the cache."""
    for name in names:
        if name.startswith(_PREFIX):
            routine, kind = name.removeprefix(_PREFIX).rsplit("_", 1)
            address(_called[routine], getattr(types, kind))
    rtsys.initialize(target_context)
    if not all(map(_is_known, names)):
        # All that Numba can compile: a quarter of the time from the start of a process to its first update, and
        # none of our kernels needs it.
        target_context.refresh()


def _is_known(name: str) -> bool:
    return llvmlite.binding.address_of_symbol(name) is not None


def address(routine: Routine, kind: Any) -> int:
    """Where a routine for first arguments of this type lies; it is loaded first."""
    symbol = routine.symbol(kind)
    if symbol not in _loaded:
        options = {"fastmath": FASTMATH, "error_model": "numpy", "forceinline": False}
        signature = (tuple(routine.arguments(kind)), types.void)
        made: Any = CFunc(routine.function, signature, locals={}, options=options)
        made._cache, made._compile_uncached = CompiledCode(routine.function, named_in, load), _alone(made)
        with global_compiler_lock, made._cache:
            made.compile()
        llvmlite.binding.add_symbol(symbol, made.address)
        _loaded[symbol] = made
    return int(_loaded[symbol].address)


def _alone(made: Any) -> Callable[[], Any]:
    """What compiles a routine that is not in the cache."""
    compile = made._compile_uncached

    def compile_alone() -> Any:
        with compiling_alone():
            code = compile()
            code.library.finalize()  # LLVM's work, which Numba leaves until the code is kept
            return code

    return compile_alone


def call_by_name(routine: Routine) -> Any:
    """What a kernel calls to run the routine. Arrays are given for pointers."""
    _called[routine.name] = routine

    def call(typingctx: Any, *given: Any) -> Any:
        kind = given[0]
        address(routine, kind)
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
