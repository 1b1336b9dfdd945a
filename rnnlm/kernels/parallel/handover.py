"""The handing over of a call, in compiled code: all threads run the kernel that one of them calls.

    def call(thread, x, factor):           # what `handed_over` makes of a kernel
        if leads(thread):                  # thread 0 of several
            if not claim(thread):
                return False               # one of them sleeps: wake it and call again
            hand_over(thread.words)        # the arguments of this very call, for the others
            post(thread)
        kernel(thread, x, factor)
        if leads(thread):
            join(thread)
            fail_too(thread.words)
        return True

So Python's arguments are turned into numbers and pointers once, by thread 0, and not once a thread, one after the
other under Python's lock. Another thread calls the same compiled function with the same arguments and its own number.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core.callconv import RETCODE_NONE, RETCODE_OK
from numba.extending import intrinsic

from rnnlm.kernels.jit import compiled, jit
from rnnlm.kernels.parallel.atomics import give_way, look, swap, tell
from rnnlm.kernels.parallel.barrier import PATIENCE
from rnnlm.kernels.parallel.words import (
    ASLEEP,
    BODY,
    BUSY,
    CLAIMED,
    COUNT,
    ERROR,
    IDLE,
    ROOM,
    ROOM_SIZE,
    STATUS,
    STOPPED,
    state,
)

# More arrivals than there will ever be: whoever waits at the barrier goes on.
CALLED_OFF = 1 << 62

_INT, _VOID = ir.IntType(64), ir.VoidType()
_WORDS = _INT.as_pointer()
_BODY_TYPE = ir.FunctionType(_VOID, [_WORDS, _INT])
# Of a compiled function's LLVM arguments: the results' and the exception's places, then the thread's number.
_RESULT, _EXCEPTION, _NUMBER = range(3)


def handed_over(function: Callable[..., None]) -> Any:
    """Compile a kernel; see the module. The result has the kernel's parameters and says whether it ran."""
    names = ", ".join(inspect.signature(function).parameters)
    helpers: tuple[Any, ...] = (leads, claim, hand_over, post, join, fail_too)
    space: dict[str, Any] = {helper.__name__: helper for helper in helpers}
    space |= {"__name__": function.__module__, "kernel": numba.njit(inline="always")(function)}
    thread = names.split(",")[0]
    source = (
        f"def {function.__name__}({names}):\n"
        f"    if leads({thread}):\n"
        f"        if not claim({thread}):\n"
        "            return False\n"
        f"        hand_over({thread}.words)\n"
        f"        post({thread})\n"
        f"    kernel({names})\n"
        f"    if leads({thread}):\n"
        f"        join({thread})\n"
        f"        fail_too({thread}.words)\n"
        "    return True\n"
    )
    exec(source, space)
    return compiled(space[function.__name__], function, forceinline=False)


@jit
def leads(thread):
    """Whether this thread is the one that calls others."""
    return thread.number == 0 and thread.threads > 1


@jit
def claim(thread):
    """Keep the other threads from going to sleep; False, and nobody is kept, if one sleeps already."""
    for number in range(1, thread.threads):
        if not swap(thread.words, state(number), IDLE, CLAIMED):
            for other in range(1, number):
                tell(thread.words, state(other), IDLE)
            return False
    return True


@jit
def post(thread):
    """Let the others begin."""
    for number in range(1, thread.threads):
        tell(thread.words, state(number), BUSY)


@jit
def join(thread):
    """Wait until the others have ended."""
    settle(thread.words, thread.threads)


@jit
def settle(words, threads):
    """Wait until no thread but the first works."""
    for number in range(1, threads):
        looks = 0
        while look(words, state(number)) == BUSY:
            looks += 1
            if looks > PATIENCE:
                give_way()


@jit
def serve(words, number, looks):
    """What another thread than the first does until it has looked so often for a call, in vain, and is asleep; True
    when it is to end."""
    left = looks
    while True:
        now = look(words, state(number))
        if now == BUSY:
            _call(words, number)
            tell(words, state(number), IDLE)
            left = looks
        elif now == STOPPED:
            return True
        elif now == IDLE:
            left -= 1
            if left < 0 and swap(words, state(number), IDLE, ASLEEP):
                return False


def _data(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """The address of the words."""
    return context.make_array(signature.args[0])(context, builder, args[0]).data


def _word(builder: Any, words: Any, index: int) -> Any:
    return builder.gep(words, [_INT(index)])


@intrinsic
def hand_over(typingctx: Any, words: Any) -> Any:
    """Write down with which arguments this function was called, and where to call it with another number."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = builder.function
        room = ir.LiteralStructType([argument.type for argument in function.args[_NUMBER:]])
        if context.get_abi_sizeof(room) > 8 * ROOM_SIZE:
            raise NotImplementedError(f"{function.name}: more arguments than there is room for (parallel.words.ROOM)")
        data = _data(context, builder, signature, args)
        place = builder.bitcast(_word(builder, data, ROOM), room.as_pointer())
        for i, argument in enumerate(function.args[_NUMBER:]):
            builder.store(argument, builder.gep(place, [ir.IntType(32)(0), ir.IntType(32)(i)]))
        body = _body(builder.module, function, room)
        builder.store(builder.ptrtoint(body, _INT), _word(builder, data, BODY))
        return context.get_dummy_value()

    return types.void(words), codegen


def _body(module: Any, function: Any, room: Any) -> Any:
    """body(words, number): the function with the arguments in ROOM, but this number."""
    body = ir.Function(module, _BODY_TYPE, f"{function.name}.body")
    body.linkage = "internal"
    words, number = body.args
    builder = ir.IRBuilder(body.append_basic_block("entry"))
    place = builder.bitcast(_word(builder, words, ROOM), room.as_pointer())
    given = [
        builder.load(builder.gep(place, [ir.IntType(32)(0), ir.IntType(32)(i)])) for i in range(len(room.elements))
    ]
    given[0] = number
    result, error = (builder.alloca(function.args[i].type.pointee) for i in (_RESULT, _EXCEPTION))
    status = builder.call(function, [result, error, *given], attrs=("noinline",))
    well = [builder.icmp_signed("==", status, code) for code in (RETCODE_OK, RETCODE_NONE)]
    with builder.if_then(builder.not_(builder.or_(*well)), likely=False):
        builder.store(builder.sext(status, _INT), _word(builder, words, STATUS))
        builder.store(builder.ptrtoint(builder.load(error), _INT), _word(builder, words, ERROR))
        # It will not come to any barrier: nobody is to wait for it.
        builder.store_atomic(_INT(CALLED_OFF), _word(builder, words, COUNT), "release", 8)
    builder.ret_void()
    return body


@intrinsic
def fail_too(typingctx: Any, words: Any) -> Any:
    """End this function as the thread that failed has ended."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data, function = _data(context, builder, signature, args), builder.function
        status = builder.load(_word(builder, data, STATUS))
        with builder.if_then(builder.icmp_signed("!=", status, _INT(0)), likely=False):
            place = function.args[_EXCEPTION]
            error = builder.load(_word(builder, data, ERROR))
            builder.store(builder.inttoptr(error, place.type.pointee), place)
            builder.ret(builder.trunc(status, ir.IntType(32)))
        return context.get_dummy_value()

    return types.void(words), codegen


@intrinsic
def _call(typingctx: Any, words: Any, number: Any) -> Any:
    """Call the body."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = _data(context, builder, signature, args)
        address = builder.load(_word(builder, data, BODY))
        builder.call(builder.inttoptr(address, _BODY_TYPE.as_pointer()), [data, args[1]])
        return context.get_dummy_value()

    return types.void(words, types.int64), codegen
