"""The handing over of a call, in compiled code: all threads run the kernel that one of them calls.

    def call(thread, x, factor):           # what `handed_over` makes of a kernel
        if not lead(thread):               # called for all threads: every one calls this with its own number
            kernel(thread, x, factor)

So Python's arguments are turned into numbers and pointers once, and not once a thread, one after the other under
Python's lock. Where a thread sleeps nothing is done: Python wakes it and calls again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.callconv import RETCODE_NONE, RETCODE_OK
from numba.extending import intrinsic

from rnnlm.kernels.jit import compiled, jit
from rnnlm.kernels.parallel.atomics import give_way, look, swap, tell
from rnnlm.kernels.parallel.barrier import PATIENCE
from rnnlm.kernels.parallel.words import (
    ASLEEP,
    AWAKE,
    BODY,
    BUSY,
    CLAIM,
    CLAIMED,
    COUNT,
    ERROR,
    IDLE,
    ROOM,
    ROOM_SIZE,
    SETTLE,
    STATUS,
    STOPPED,
    state,
)
from rnnlm.kernels.symbols import Routine

# In place of a thread's number: the kernel is called for all of them.
ALL = -1
# Words that there are at most.
_ROOM_FOR_ALL = 1 << 20
# More arrivals than there will ever be: whoever waits at the barrier goes on.
_CALLED_OFF = 1 << 62

_INT, _INT32, _VOID = ir.IntType(64), ir.IntType(32), ir.VoidType()
_WORDS, _OBJECT = _INT.as_pointer(), ir.IntType(8).as_pointer()
_BODY_TYPE = ir.FunctionType(_VOID, [_WORDS, _INT])
_ROUTINE_TYPE = ir.FunctionType(_VOID, [_INT, _WORDS, _INT])
# Of a compiled function's LLVM arguments: the results' and the exception's places, then the thread's number.
_RESULT, _EXCEPTION, _NUMBER = range(3)


def handed_over(function: Callable[..., None]) -> Any:
    """Compile a kernel; see the module. It is called with the thread of number ALL, and again if AWAKE is 0 then, or
    with a thread that is alone."""
    names, name = ", ".join(inspect.signature(function).parameters), function.__name__
    space: dict[str, Any] = {"__name__": function.__module__, "_lead_": lead}
    space["_kernel_"] = numba.njit(inline="always")(function)
    exec(f"def {name}({names}):\n    if not _lead_({names.split(',')[0]}):\n        _kernel_({names})\n", space)
    return compiled(space[name], function, forceinline=False)


@jit
def claim(words, threads):
    """Keep the other threads from going to sleep; False, and nobody is kept, if one sleeps already."""
    for number in range(1, threads):
        if not swap(words, state(number), IDLE, CLAIMED):
            for other in range(1, number):
                tell(words, state(other), IDLE)
            return False
    return True


@jit
def settle(words, threads):
    """Wait until no thread but the first works."""
    for number in range(1, threads):
        looks = 0
        while look(words, state(number)) == BUSY:
            looks += 1
            if looks > PATIENCE:
                give_way()


def _claim(kind, words, threads):
    """`claim`, to be called by its address."""
    array = numba.carray(words, (_ROOM_FOR_ALL,))
    array[AWAKE] = claim(array, threads)


def _settle(kind, words, threads):
    """`settle`, to be called by its address."""
    settle(numba.carray(words, (_ROOM_FOR_ALL,)), threads)


def _arguments(kind):
    return [kind, types.CPointer(types.int64), types.intp]


# What kernels call by address: so small a part of them that it is not worth compiling with each.
CLAIM_ALL, SETTLE_ALL = Routine("claim", _arguments, _claim), Routine("settle", _arguments, _settle)


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


def _word(builder: Any, words: Any, index: int) -> Any:
    return builder.gep(words, [_INT(index)])


@intrinsic
def lead(typingctx: Any, thread: Any) -> Any:
    """Where the thread's number is ALL: write down where to call this function, and with which arguments; let the
    others begin, do the part of thread 0, and wait for the others. If one has failed, fail as it did. Returns whether
    the number was ALL; AWAKE says whether all were awake, and so whether anything was done.

    Where Python calls for one thread: do it by calling this function, and return from it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = builder.function
        given = function.args[_NUMBER:]
        room, unowned = ir.LiteralStructType([argument.type for argument in given]), _without_owners(given)
        if context.get_abi_sizeof(room) > 8 * ROOM_SIZE:
            raise NotImplementedError(f"{function.name}: more arguments than there is room for (parallel.words.ROOM)")
        number, threads, shared = (builder.extract_value(args[0], i) for i in range(3))
        for_all = builder.icmp_signed("==", number, _INT(ALL))
        array = context.make_array(thread.types[2])(context, builder, shared)
        with builder.if_then(for_all):
            words = array.data
            _call_routine(builder, CLAIM, words, threads)
            with builder.if_then(builder.icmp_signed("!=", builder.load(_word(builder, words, AWAKE)), _INT(0))):
                place = builder.bitcast(_word(builder, words, ROOM), room.as_pointer())
                for i, argument in enumerate(unowned):
                    builder.store(argument, builder.gep(place, [_INT32(0), _INT32(i)]))
                body = _body(builder.module, function, room)
                builder.store(builder.ptrtoint(body, _INT), _word(builder, words, BODY))
                first, apart = state.py_func(1), state.py_func(2) - state.py_func(1)
                with cgutils.for_range(builder, builder.sub(threads, _INT(1)), intp=_INT) as loop:
                    index = builder.add(_INT(first), builder.mul(loop.index, _INT(apart)))
                    builder.store_atomic(_INT(BUSY), builder.gep(words, [index]), "release", 8)
                builder.call(body, [words, _INT(0)])
                _call_routine(builder, SETTLE, words, threads)
                status = builder.trunc(builder.load(_word(builder, words, STATUS)), _INT32)
                with builder.if_then(builder.icmp_signed("!=", status, _INT32(0)), likely=False):
                    error = function.args[_EXCEPTION]
                    found = builder.load(_word(builder, words, ERROR))
                    builder.store(builder.inttoptr(found, error.type.pointee), error)
                    builder.ret(status)
        from_python = cgutils.is_not_null(builder, array.meminfo)
        with builder.if_then(builder.and_(builder.not_(for_all), from_python)):
            result, error = function.args[:_NUMBER]
            builder.ret(builder.call(function, [result, error, *unowned], tail="notail", attrs=("noinline",)))
        return for_all

    return types.boolean(thread), codegen


def _without_owners(arguments: Any) -> list[Any]:
    """A compiled function's arguments, where arrays have nothing that counts references to them: whoever calls keeps
    them, and threads that count in one cache line wait for each other at each part of an array."""
    kinds = [argument.type for argument in arguments]
    # An array begins with its owner, its object in Python, its size and the bytes of a number.
    begin = [_OBJECT, _OBJECT, _INT, _INT]
    return [
        ir.Constant(_OBJECT, None) if kinds[i : i + len(begin)] == begin else argument
        for i, argument in enumerate(arguments)
    ]


def _call_routine(builder: Any, place: int, words: Any, threads: Any) -> None:
    """Call what lies at the address in this word."""
    address = builder.load(_word(builder, words, place))
    builder.call(builder.inttoptr(address, _ROUTINE_TYPE.as_pointer()), [_INT(0), words, threads])


def _body(module: Any, function: Any, room: Any) -> Any:
    """body(words, number): the function with the arguments in ROOM, but this number."""
    body = ir.Function(module, _BODY_TYPE, f"{function.name}.body")
    body.linkage = "internal"
    words, number = body.args
    builder = ir.IRBuilder(body.append_basic_block("entry"))
    place = builder.bitcast(_word(builder, words, ROOM), room.as_pointer())
    given = [builder.load(builder.gep(place, [_INT32(0), _INT32(i)])) for i in range(len(room.elements))]
    given[0] = number
    result, error = (builder.alloca(function.args[i].type.pointee) for i in (_RESULT, _EXCEPTION))
    status = builder.call(function, [result, error, *given], attrs=("noinline",))
    well = [builder.icmp_signed("==", status, code) for code in (RETCODE_OK, RETCODE_NONE)]
    with builder.if_then(builder.not_(builder.or_(*well)), likely=False):
        builder.store(builder.sext(status, _INT), _word(builder, words, STATUS))
        builder.store(builder.ptrtoint(builder.load(error), _INT), _word(builder, words, ERROR))
        # It will not come to any barrier: nobody is to wait for it.
        builder.store_atomic(_INT(_CALLED_OFF), _word(builder, words, COUNT), "release", 8)
    builder.ret_void()
    return body


@intrinsic
def _call(typingctx: Any, words: Any, number: Any) -> Any:
    """Call the body."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(words)(context, builder, args[0]).data
        address = builder.load(_word(builder, data, BODY))
        builder.call(builder.inttoptr(address, _BODY_TYPE.as_pointer()), [data, args[1]])
        return context.get_dummy_value()

    return types.void(words, types.int64), codegen
