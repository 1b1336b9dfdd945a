"""What several ranks cost: rates measured on this machine, tokens a second, and a table on paper of what networks do.

    mpiexec -n 2 python -m benchmarks.distributed rates
    python -m benchmarks.distributed speed L650 --rounds 5
    python -m benchmarks.distributed table L650 --seconds 0.21

`rates`: the time of the sum of gradients over the ranks. `speed`: one process with two threads and two ranks of one
thread in turn, each rank with the batch of the case, the process with that of one rank and with that of both.
`table`: what an update would take on machines that each need `--seconds` for their own window."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import CASES, Case

SIZES = [1 << 10, 1 << 14, 1 << 18, 1 << 22, 10_000_000]  # numbers
GIGABITS = [1, 10, 100]
MACHINES = [2, 4, 8, 16, 32, 64]
LATENCY = {1: 50e-6, 10: 20e-6, 100: 3e-6}  # seconds of a message, by gigabits: typical, not measured


def rates() -> None:
    """Prints, for each size, the seconds of a sum and the bytes a second that each rank sends."""
    from mpi4py import MPI

    from rnnlm.ranks.ranks import Ranks

    ranks = Ranks(MPI.COMM_WORLD)
    for size in SIZES:
        x, times = np.ones(size, np.float32), []
        for _ in range(3 + max(5, 20_000_000 // size if size > 1 << 16 else 200)):
            began = time.perf_counter()
            ranks.wait([ranks.begin_sum(x)])
            times.append(time.perf_counter() - began)
            x[:] = 1
        if ranks.rank == 0:
            seconds = statistics.median(times[3:])
            sent = wire_bytes(ranks.size, 4 * size)
            rate = f"{sent / seconds / 1e9:.2f} GB/s sent by each of {ranks.size}"
            print(f"{4 * size:>12,} bytes  {1e6 * seconds:>10,.0f} us  {rate}")


def wire_bytes(ranks: int, gradient: float) -> float:
    """What each rank sends for a sum of so many bytes: a reduce-scatter and an allgather."""
    return 2 * (ranks - 1) / ranks * gradient


def trainer(case: Case, threads: int, seconds: float) -> None:
    """Train for so long, as a rank where mpiexec has started it; rank 0 prints the tokens a second of all."""
    from benchmarks.worker import _rnnlm_network
    from rnnlm.network.network import Window
    from rnnlm.network.share import Share
    from rnnlm.ranks.launch import ranks_started
    from rnnlm.ranks.ranks import Ranks
    from rnnlm.training.distributed.gradient_sum import GradientSum
    from rnnlm.training.optimizers.optimizer import Optimizer
    from rnnlm.training.update import TrainingWindow, update

    ranks = None
    if ranks_started() > 1:
        from mpi4py import MPI

        ranks = Ranks(MPI.COMM_WORLD)
    rank, size = (ranks.rank, ranks.size) if ranks else (0, 1)
    network = _rnnlm_network(case, "float32", threads)
    optimizer = Optimizer(network.config.train, network.named)
    ids = replace(case, batch=case.batch * size).ids(40)[:, rank * case.batch : (rank + 1) * case.batch].copy()
    share = Share(rank * case.batch, size * case.batch, size * case.batch)
    reset, states = np.zeros((case.steps, case.batch), np.bool_), network.initial_states(case.batch)
    total = GradientSum(ranks, False) if ranks else None

    def train(number: int) -> None:
        nonlocal states

        def carry(trace: Any, loss: float) -> None:
            nonlocal states
            states = network.states_after(trace, case.steps)

        start = number % 40 * case.steps
        window = Window(ids[start : start + case.steps], reset, states, share=share)
        part = TrainingWindow(window, ids[start + 1 : start + case.steps + 1], case.steps, (0, number))
        update(network, optimizer, [part], 1, 0.1, passed=carry, ranks_sum=total)

    for number in range(5):
        train(number)
    # As many updates at every rank.
    began = time.perf_counter()
    train(5)
    one = time.perf_counter() - began
    updates = max(3, round(seconds / (max(ranks.all(one)) if ranks else one)))
    waited, began = ranks.waited if ranks else 0.0, time.perf_counter()
    for number in range(updates):
        train(number)
    took = time.perf_counter() - began
    if rank == 0:
        waiting = (ranks.waited - waited) / took if ranks else 0.0
        tokens = updates * case.steps * case.batch * size
        print(json.dumps({"tokens_per_second": tokens / took, "waiting": waiting, "seconds": took / updates}))


def speed(case: Case, rounds: int, seconds: float, mpiexec: list[str]) -> None:
    """Prints the medians of some rounds in turn."""
    worker = [sys.executable, "-m", "benchmarks.distributed", "worker", case.name, "--seconds", str(seconds)]
    ways = {
        f"1 process x 2 threads, batch {case.batch}": [*worker, "--threads", "2"],
        f"1 process x 2 threads, batch {2 * case.batch}": [*worker, "--threads", "2", "--times", "2"],
        f"2 ranks x 1 thread, batch {case.batch} each": [*mpiexec, "-n", "2", *worker, "--threads", "1"],
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, command in ways.items():
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[name].append(json.loads(out))
    for name, parts in found.items():
        speeds = [part["tokens_per_second"] for part in parts]
        waiting = statistics.median(part["waiting"] for part in parts)
        print(
            f"{name}: {statistics.median(speeds):,.0f} tokens/s ({min(speeds):,.0f} to {max(speeds):,.0f})"
            + (f", {100 * waiting:.0f}% of it waiting" if waiting else "")
        )


def table(case: Case, seconds: float) -> None:
    """Prints the speed of machines together, as multiples of one machine's, for each network.

    The sum is not overlapped with anything: the lower bound. Every machine has the batch of the case.
    """
    from rnnlm.network import build

    shapes = build.shapes(case.config(), case.vocabulary)
    dense = sum(4 * int(np.prod(shape)) for name, shape in shapes.items() if name != "embedding.table")
    ids = case.ids(40)
    distinct = np.mean([len(np.unique(ids[i * case.steps : (i + 1) * case.steps])) for i in range(40)])
    rows = float(distinct) * (4 * case.hidden + 4)
    whole = dense + 4 * case.vocabulary * case.hidden
    print(
        f"{case.what}: dense gradients {dense / 1e6:.1f} MB, rows {rows / 1e6:.2f} MB, weights {whole / 1e6:.1f} MB"
    )
    print(f"{1000 * seconds:.0f} ms of computing an update on each machine\n")
    print("| Gb/s | gradients | " + " | ".join(f"{machines} machines" for machines in MACHINES) + " |")
    print("| ---: | --- |" + " ---: |" * len(MACHINES))
    for gigabits in GIGABITS:
        rate = gigabits * 1e9 / 8
        for name, size, own, every in (
            ("float32", dense, rows, 1), ("bfloat16", dense / 2, rows / 2, 1), ("every: 10", whole, 0.0, 10),
        ):  # fmt: skip
            cells = []
            for machines in MACHINES:
                messages = 2 * (machines - 1) * LATENCY[gigabits]
                travel = (wire_bytes(machines, size) + (machines - 1) * own) / rate + messages
                cells.append(f"{machines * seconds / (seconds + travel / every):.1f}")
            print(f"| {gigabits} | {name} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["rates", "speed", "table", "worker"])
    parser.add_argument("case", nargs="?", default="L650", choices=CASES)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--times", type=int, default=1, help="batches of the case at once")
    parser.add_argument("--mpiexec", default=str(Path(sys.executable).parent / "mpiexec"))
    given = parser.parse_args()
    case = CASES[given.case]
    if given.what == "rates":
        rates()
    elif given.what == "speed":
        speed(case, given.rounds, given.seconds, given.mpiexec.split())
    elif given.what == "table":
        table(case, given.seconds)
    else:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        trainer(replace(case, batch=given.times * case.batch), given.threads, given.seconds)


if __name__ == "__main__":
    main()
