"""The decorator that compiles all kernels; what Numba does meanwhile stands in ``compiling``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core.compiler_lock import global_compiler_lock

from rnnlm.kernels import compiling, symbols
from rnnlm.kernels.compiled import CompiledCode
from rnnlm.kernels.compiling import FASTMATH

compiling.listen()

# Wrappers, for calls from C and from Python, take a tenth of the time that compiling takes.
_C_CALLS_NONE: Any = {"no_cfunc_wrapper": True}
_NOBODY_CALLS: Any = {"no_cfunc_wrapper": True, "no_cpython_wrapper": True}


def jit(function: Callable[..., Any]) -> Any:
    """Compile, without Python's lock while it runs; ``kernels.parallel.thread_pool`` runs such functions on several
    threads.

    A kernel takes in every such function that it calls (`forceinline`). Otherwise LLVM would take in some and call
    the others by a name that stands in the kernel's code and also, in the process that compiled it, alone. The two
    are optimised differently and round their sums differently, so a process that compiles would end with other bytes
    than one that reads the cache.
    """
    return compiled(function, function, forceinline=True)


def compiled(function: Callable[..., Any], source: Callable[..., Any], forceinline: bool) -> Any:
    """Compile a function that stands for, or is, what `source` defines: the cache knows it by that.

    It is compiled once for calls from Python and once for the kernels that take it in, which need no wrapper."""
    made, taken_in = (
        numba.njit(nogil=True, forceinline=forceinline, fastmath=FASTMATH, error_model="numpy", **without)(function)
        for without in (_C_CALLS_NONE, _NOBODY_CALLS)
    )
    made._cache, compile_or_read = CompiledCode(source, symbols.named_in, symbols.load), made.compile

    def compile(sig: Any) -> Any:
        with global_compiler_lock, made._cache:
            return compile_or_read(sig)

    def without_literals(args: Any, kws: Any) -> Any:
        """A call with a constant is a call with a number: Numba would compile the function anew for each constant."""
        plain = {name: numba.types.unliteral(kind) for name, kind in kws.items()}
        return taken_in.get_call_template(tuple(numba.types.unliteral(kind) for kind in args), plain)

    made.compile = compile
    made.get_call_template, made.get_overload = without_literals, taken_in.get_overload
    return made
