"""Speed of rnnlm beside PyTorch: same token ids, network, batch and optimizer, in turn.

    python -m benchmarks.throughput                     # training, all cases, float32 and bfloat16
    python -m benchmarks.throughput C D --rounds 5 --programs rnnlm:float32 torch:float32 compiled:float32
    python -m benchmarks.throughput V100 --programs rnnlm:float32 adaptive:float32 torch-adaptive:float32
    python -m benchmarks.throughput E V100 --programs rnnlm:float32 sampled:float32 nce:float32
    python -m benchmarks.throughput S --programs rnnlm:float32 hierarchical:float32 nce:float32 nce50:float32
    python -m benchmarks.throughput A C --task evaluate # or sample1, sample64
    python -m benchmarks.throughput C --task evaluate --text corpora/ptb/ptb.test.txt
    python -m benchmarks.throughput A C D --processor avx2 --programs rnnlm:float32 torch:float32

Each program lives in a process of its own and waits while the other one runs, so that both see the same machine; the
figures are medians over the rounds, and the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

from benchmarks.cases import CASES

_AVX2 = "+avx2,+fma,+avx,+sse4.2,+sse4.1,+ssse3,+sse3,+sse2,+sse,+cmov,+cx8,+fxsr,+mmx,+x87,+popcnt,+bmi,+bmi2"
# rnnlm with another output layer than the full softmax.
OUTPUTS = ("adaptive", "classes", "hierarchical")

# What holds both programs to less than this processor has; by the name that `--processor` takes.
PROCESSORS: dict[str, dict[str, str]] = {
    "own": {},
    "avx2": {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": _AVX2,
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # as NumPy 2.4 and later call them
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}


@dataclass
class Program:
    """A worker process and what it answered."""

    name: str
    process: subprocess.Popen[str]
    answers: list[dict[str, Any]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        self.answers.append(self._answer())

    def wait_until_ready(self) -> None:
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: the worker has ended")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    @property
    def speed(self) -> float:
        return statistics.median(answer["tokens_per_second"] for answer in self.answers)

    @property
    def spread(self) -> tuple[float, float]:
        speeds = [answer["tokens_per_second"] for answer in self.answers]
        return min(speeds), max(speeds)

    @property
    def peak(self) -> float:
        return max(answer["peak_bytes"] for answer in self.answers)


def start(
    program: str, case: str, precision: str, threads: int, task: str, text: str | None, processor: str
) -> Program:
    """Start a worker; it is ready once its kernels are compiled."""
    environment = os.environ | PROCESSORS[processor]
    command = [sys.executable, "-m", "benchmarks.worker", program, case, precision, str(threads), task]
    command += [] if text is None else [text]
    if program not in ("torch", "compiled", "torch-adaptive"):  # once before: compiling is not in the peak of memory
        subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    made = Program(f"{program} {precision}", process)
    made.wait_until_ready()
    return made


def side_by_side(
    case: str,
    programs: list[tuple[str, str]],
    rounds: int,
    seconds: float,
    threads: int,
    task: str,
    text: str | None = None,
    processor: str = "own",
) -> list[Program]:
    """Run the programs in turn, `rounds` times `seconds` each."""
    started = [start(program, case, precision, threads, task, text, processor) for program, precision in programs]
    for _ in range(rounds):
        for program in started:
            program.run(seconds)
    for program in started:
        program.close()
    return started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    both_have = [name for name, case in CASES.items() if case.activation == "tanh"]  # nn.RNN has no sigmoid
    parser.add_argument("cases", nargs="*", default=both_have)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--task", default="train", choices=["train", "evaluate", "sample1", "sample64"])
    parser.add_argument("--text", metavar="FILE", help="read its words instead of drawing ids by Zipf's law")
    parser.add_argument("--processor", default="own", choices=list(PROCESSORS), help="hold both programs to less")
    parser.add_argument("--programs", nargs="+", metavar="PROGRAM:PRECISION")
    arguments = parser.parse_args()
    both = ["rnnlm:float32", "torch:float32"]
    chosen = arguments.programs or (
        [*both, "rnnlm:bfloat16", "torch:bfloat16"] if arguments.task == "train" else both
    )
    programs = [(name, precision) for name, _, precision in (item.partition(":") for item in chosen)]
    for name in arguments.cases:
        case = CASES[name]
        found = side_by_side(
            name, programs, arguments.rounds, arguments.seconds, arguments.threads, arguments.task, arguments.text,
            arguments.processor,
        )  # fmt: skip
        print(f"{name}: {case.what}, {case.batch} x {case.steps}, {arguments.task}, {arguments.processor} processor")
        for program in found:
            low, high = program.spread
            full = arguments.task == "train" and program.name.split()[0] in ("rnnlm", "torch", "compiled")
            gflops = f", {program.speed * case.products / 1e9:.0f} GFLOP/s" if full else ""
            print(
                f"  {program.name:<18} {program.speed:>10,.0f} tokens/s ({low:,.0f} to {high:,.0f}), "
                f"{found[0].name} x {found[0].speed / program.speed:.2f}{gflops}, peak {program.peak / 1e6:,.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
