"""Where the time of an update goes: a line a kernel, and beside it the floors that the machine sets.

    python -m benchmarks.timeline D L650 --precision bfloat16

Kernels are compiled anew with the time-stamp counter around products, packing, exp and barriers; nothing of that is
kept. Columns, in milliseconds an update, means over the threads:

    products    matrix products
    packing     operands copied or rounded into the places of ``kernels.matmul.layout``
    exp         exponentials of the output layer
    barrier     waiting inside the kernel
    other       what is left of the kernel: elementwise work, sums, copies
    waiting     from Python's call to its return, less what a thread works: Python's arguments, the start of the
                other threads and their end
    floor       the products at the multiply-adds' own rate (``kernels.peak``), and in brackets the arrays that the
                kernel reads or writes, each once, at the rate at which memory is read
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from benchmarks.cases import CASES, Case
from rnnlm.kernels import cache, cpu, jit, symbols

PRODUCTS, PACKING, EXP, BARRIER, WORK, OPERATIONS = range(6)
_SLOTS = 6
_MOST_KERNELS = 200
# The number of the kernel that runs, and then cycles (or operations) by kernel and part.
_counters = np.zeros(1 + _MOST_KERNELS * _SLOTS, np.int64)
_ADDRESS = _counters.ctypes.data

# Functions whose time is told apart, by module: replaced there before others import them.
_TIMED = {
    "rnnlm.kernels.matmul.pack": {name: PACKING for name in ("fill_rows", "fill_columns", "panel_as_columns")},
    "rnnlm.kernels.elementwise.exp_rows": {"exp_rows": EXP},
    "rnnlm.kernels.parallel.barrier": {"wait": BARRIER},
}
_ARITY = {"fill_rows": 4, "fill_columns": 2, "panel_as_columns": 5, "exp_rows": 7, "wait": 1}
# Of the routines that are called by name: the part, the number of arguments, and the multiplications and additions.
_ROUTINES = {
    "rows": (PRODUCTS, 14, "2 * a2 * a3 * a7 * a8 * (1 if wide else 2)"),
    "columns": (PRODUCTS, 12, "2 * a2 * a3 * a6 * (1 if wide else 2)"),
    "tiles": (PRODUCTS, 15, "2 * a1 * a2 * a6 * a7 * 32"),
    "pack": (PACKING, 10, "0"),
}


@intrinsic
def _cycles(typingctx: Any) -> Any:
    """The time-stamp counter."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), [])
        function = builder.module.globals.get("llvm.readcyclecounter") or ir.Function(
            builder.module, kind, "llvm.readcyclecounter"
        )
        return builder.call(function, [])

    return types.int64(), codegen


@intrinsic
def _count(typingctx: Any, slot: Any, number: Any) -> Any:
    """Add to a slot of the kernel that runs."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integer = ir.IntType(64)
        base = builder.inttoptr(integer(_ADDRESS), integer.as_pointer())
        place = builder.add(builder.mul(builder.load(base), integer(_SLOTS)), builder.add(args[0], integer(1)))
        builder.atomic_rmw("add", builder.gep(base, [place]), args[1], "monotonic")
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


def _made(source: str, space: dict[str, Any], name: str = "timed", module: str = __name__) -> Any:
    """The function of this name that the source defines."""
    space["__name__"] = module
    exec(source, space)
    return space[name]


def _timed(function: Any, part: int, arity: int, operations: str = "0", wide: bool = True) -> Any:
    """The same function, its cycles counted, and the operations that its arguments (a0, a1 ...) come to."""
    arguments = ", ".join(f"a{i}" for i in range(arity))
    source = (
        f"def timed({arguments}):\n"
        "    began = cycles()\n"
        f"    found = function({arguments})\n"
        f"    count({part}, cycles() - began)\n"
        f"    count({OPERATIONS}, {operations})\n"
        "    return found\n"
    )
    return _made(source, {"cycles": _cycles, "count": _count, "function": function, "wide": wide})


def _timed_kernel(function: Callable[..., None]) -> Callable[..., None]:
    """The same kernel, the cycles of each thread counted."""
    names, name = ", ".join(inspect.signature(function).parameters), function.__name__
    source = (
        f"def {name}({names}):\n    _count_({WORK}, -_cycles_())\n    _function_({names})\n"
        f"    _count_({WORK}, _cycles_())\n"
    )
    space = {"_cycles_": _cycles, "_count_": _count, "_function_": numba.njit(inline="always")(function)}
    return _made(source, space, name, function.__module__)


def _timed_routine(routine: symbols.Routine, kind: Any) -> symbols.Routine:
    """One under the routine's name that calls it, under another name."""
    part, arity, operations = _ROUTINES[routine.name]
    other = symbols.Routine(f"untimed_{routine.name}", routine.arguments, routine.function)
    timed = _timed(symbols.call_by_name(other), part, arity, operations, kind != types.uint32)
    return symbols.Routine(routine.name, routine.arguments, timed)


def _watch() -> None:
    """Put the counters into everything that is compiled from now on."""
    cache.folder = lambda: None  # type: ignore[assignment]
    address = symbols.address

    def timed_address(routine: symbols.Routine, kind: Any) -> int:
        if routine.name in _ROUTINES and routine.symbol(kind) not in symbols._loaded:
            routine = _timed_routine(routine, kind)
        return address(routine, kind)

    symbols.address = timed_address
    thread_pool = importlib.import_module("rnnlm.kernels.parallel.thread_pool")
    handed_over = thread_pool.handed_over
    thread_pool.handed_over = lambda function: handed_over(_timed_kernel(function))
    for module, functions in _TIMED.items():
        found = importlib.import_module(module)
        for name, part in functions.items():
            setattr(found, name, jit.jit(_timed(getattr(found, name), part, _ARITY[name])))


class _Kernels:
    """The calls of kernels, by name."""

    def __init__(self) -> None:
        self.keeps = False  # the arguments of each call
        self.names: list[str] = []
        self.seconds: dict[str, float] = {}  # from call to return
        self.calls: dict[str, int] = {}
        self.arguments: dict[str, list[tuple[Any, ...]]] = {}  # of each call
        self._numbers: dict[Any, int] = {}

    def clear(self) -> None:
        """Count from here on."""
        _counters[1:] = 0
        for counted in (self.seconds, self.calls, self.arguments):
            counted.clear()

    def run(self, run: Callable[..., None], count: int, kernel: Any, arguments: tuple[Any, ...]) -> None:
        """Call a kernel on so many threads."""
        number = self._numbers.get(kernel)
        if number is None:
            number = self._numbers[kernel] = len(self.names)
            module = kernel.py_func.__module__.split(".")[-1]
            self.names.append(f"{module}.{kernel.py_func.__name__.lstrip('_')}")
        name = self.names[number]
        _counters[0] = number
        began = time.perf_counter()
        run(count, kernel, arguments)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
        self.calls[name] = self.calls.get(name, 0) + 1
        if self.keeps:
            self.arguments.setdefault(name, []).append(arguments)

    def cycles(self, name: str) -> list[int]:
        """By part, of all threads together."""
        first = 1 + self.names.index(name) * _SLOTS
        return [int(count) for count in _counters[first : first + _SLOTS]]


def _bytes(name: str, arguments: tuple[Any, ...]) -> int:
    """Of the arrays that a kernel reads or writes, each once; of the softmax's intermediates exp_z alone, where it is
    computed or read."""
    found: dict[int, int] = {}
    for array in _arrays(arguments, name in ("exponentials.exponentials", "gradients.of_weights")):
        found[array.ctypes.data] = max(found.get(array.ctypes.data, 0), array.nbytes)
    return sum(found.values())


def _arrays(value: Any, with_exp_z: bool) -> Iterator[np.ndarray]:
    if isinstance(value, np.ndarray):
        yield value
    elif hasattr(value, "exp_z"):
        if with_exp_z:
            yield from _arrays(value.exp_z, with_exp_z)
    elif isinstance(value, tuple):
        for part in value:
            yield from _arrays(part, with_exp_z)


def _read_rate(threads: int) -> float:
    """Bytes a second that all threads together read, of 64 MiB each."""
    from benchmarks.memory import read
    from rnnlm.kernels.parallel import thread_pool

    x = np.ones((threads, 1 << 24), np.float32)
    timed_reading = thread_pool.parallel(_reader(read))
    out = np.zeros(threads, np.float32)
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        timed_reading(threads, x, out)
        seconds.append(time.perf_counter() - began)
    return x.nbytes / min(seconds)


def _reader(read: Any) -> Callable[..., None]:
    def reading(thread, x, out):  # type: ignore[no-untyped-def]
        out[thread.number] = read(x[thread.number], 1)

    return reading


def timeline(case: Case, precision: str, threads: int, least: float, kernels: _Kernels, read: float) -> None:
    """Print the table of one case."""
    from benchmarks import worker
    from rnnlm.kernels import peak
    from rnnlm.kernels.matmul import choice

    train = worker.rnnlm_trainer(case, precision, threads)
    _now()  # compiles
    for number in range(3):
        kernels.clear()
        kernels.keeps = number == 2
        train(number)
    kernels.keeps = False
    memory = {name: sum(_bytes(name, given) for given in calls) for name, calls in kernels.arguments.items()}
    kernels.clear()
    updates, began, ticks = 0, time.perf_counter(), _now()
    while (seconds := time.perf_counter() - began) < least:
        train(updates)
        updates += 1
    per_second = (_now() - ticks) / seconds
    counted = {name: (kernels.seconds[name], kernels.cycles(name)) for name in kernels.seconds}
    products = choice.choose(precision)
    rate = peak.rate(products.layout, np.float32, threads) * 1e9
    print(
        f"\n{case.name}: {case.what}, {case.batch} x {case.steps}, {precision} ({products.name}), {threads} threads, "
        f"{cpu.NAME}: {seconds / updates * 1e3:.2f} ms an update; multiply-adds {rate / 1e9:,.0f} GFLOP/s, memory "
        f"read {read / 1e9:.0f} GB/s\n"
    )
    _row("kernel", "calls", "ms", "products", "packing", "exp", "barrier", "other", "waiting", "GFLOP/s", "floor")
    _row("---", *["---:"] * 10)
    total = np.zeros(9)
    for name in sorted(counted, key=lambda name: -counted[name][0]):
        wall, (*cycles, operations) = counted[name]
        *parts, own = (count / per_second / threads for count in cycles)
        line = np.array([wall, *parts, own - sum(parts), wall - own]) / updates * 1e3
        floor, from_memory = operations / rate / updates * 1e3, memory[name] / read * 1e3
        total += [*line, floor, from_memory]
        speed = f"{operations / (parts[PRODUCTS] * 1e9):,.0f}" if operations else ""
        if line[0] >= 0.005 * seconds / updates * 1e3:
            _row(name, f"{kernels.calls[name] / updates:.0f}", *line, speed, f"{floor:.2f} ({from_memory:.2f})")
    _row("all kernels", "", *total[:7], "", f"{total[7]:.2f} ({total[8]:.2f})")
    _row("Python between them", "", seconds / updates * 1e3 - total[0], *[""] * 8)


def _row(*cells: str | float) -> None:
    """A row of a Markdown table."""
    texts = [cell if isinstance(cell, str) else f"{cell:.2f}" for cell in cells]
    print("|", " | ".join(texts), "|", flush=True)


@jit.jit
def _now():
    return _cycles()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", default=["C", "D"])
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    _watch()
    from rnnlm.kernels.parallel import thread_pool

    read = _read_rate(arguments.threads)
    kernels, run = _Kernels(), thread_pool._run
    thread_pool._run = lambda count, kernel, given: kernels.run(run, count, kernel, given)
    for name in arguments.cases:
        for precision in arguments.precision:
            timeline(CASES[name], precision, arguments.threads, arguments.seconds, kernels, read)


if __name__ == "__main__":
    main()
