"""How fast a core reads, writes and updates arrays, by their size: the caches' limits and the memory's.

    python -m benchmarks.memory [--megabytes 0.25 1 4 ...]

For both cores at once start it twice, with `taskset -c 0` and `taskset -c 1`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnlm.kernels import cpu
from rnnlm.kernels.jit import jit
from rnnlm.kernels.workspace import aligned


@jit
def read(x, turns):
    total = x.dtype.type(0)
    for _ in range(turns):
        for i in range(x.size):
            total += x[i]
    return total


@jit
def write(x, turns):
    for turn in range(turns):
        for i in range(x.size):
            x[i] = turn


@jit
def update(x, turns):
    for _ in range(turns):
        for i in range(x.size):
            x[i] += x.dtype.type(1)


def rate(kernel: Callable[[Any, int], Any], x: np.ndarray) -> float:
    """Bytes of x a second, the best of five; an update counts once, though it reads and writes."""
    turns = max(1, int(2e8 / x.nbytes))
    kernel(x, 1)
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        kernel(x, turns)
        seconds.append(time.perf_counter() - begin)
    return turns * x.nbytes / min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    sizes = [0.03, 0.25, 1, 1.5, 3, 8, 24, 48, 64, 80, 128]
    parser.add_argument("--megabytes", type=float, nargs="+", default=sizes)
    megabytes = parser.parse_args().megabytes
    print(f"{cpu.NAME}; GB/s of one core")
    print(f"{'MB':>8} {'read':>8} {'write':>8} {'update':>8}")
    for size in megabytes:
        x = aligned(int(size * 2**20) // 4, np.float32)
        x[:] = 1
        print(f"{size:8g}", *(f"{rate(kernel, x) / 1e9:8.0f}" for kernel in (read, write, update)), flush=True)


if __name__ == "__main__":
    main()
