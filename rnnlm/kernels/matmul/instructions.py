"""Instructions of LLVM's that Numba does not write by itself."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

BYTES = ir.IntType(8).as_pointer()


class _BFloat(ir.Type):
    """LLVM's bfloat, which llvmlite has no name for."""

    def _to_string(self) -> str:
        return "bfloat"


BFLOAT = _BFloat()


@intrinsic
def address(typingctx: Any, array: Any) -> Any:
    """Where an array's first number lies (or what a pointer points at), as an integer."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if isinstance(array, types.CPointer):
            return builder.ptrtoint(args[0], ir.IntType(64))
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.intp(array), codegen


def prefetch(builder: Any, place: Any, to_write: bool = False) -> None:
    """Ask for the cache line at a place, a pointer."""
    kind = ir.FunctionType(ir.VoidType(), [BYTES, *[ir.IntType(32)] * 3])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    keep, data = 3, 1
    how = (ir.IntType(32)(number) for number in (int(to_write), keep, data))
    builder.call(function, [builder.bitcast(place, BYTES), *how])
