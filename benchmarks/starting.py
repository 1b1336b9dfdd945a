"""Seconds from the start of a process to the end of its first update: once with nothing compiled, then with all.

    python -m benchmarks.starting A:float32 D:bfloat16 --rounds 7

Two threads; a run that has to compile starts a second process for it, as ``rnnlm train`` does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks import worker
from benchmarks.cases import CASES


def first_update(case: str, precision: str) -> None:
    """Make it, and print when it was done."""
    from rnnlm.training import compile_ahead

    worker.rnnlm_trainer(CASES[case], precision, 2, begin=compile_ahead.begin)(0)
    print(time.time(), flush=True)


def _seconds(case: str, precision: str, cache: str) -> float:
    # Python keeps what it compiles too, unless it is told not to.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun = time.time()
    done = subprocess.run(
        [sys.executable, "-c", f"from benchmarks import starting\nstarting.first_update({case!r}, {precision!r})"],
        env=kept | {"NUMBA_CACHE_DIR": cache}, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout) - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", nargs="+", metavar="CASE:PRECISION")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    print("| case | cold, s | warm, s |\n| --- | ---: | ---: |")
    for item in given.items:
        case, precision = item.split(":")
        with tempfile.TemporaryDirectory() as cache:
            cold = _seconds(case, precision, cache)
            _seconds(case, precision, cache)
            warm = [_seconds(case, precision, cache) for _ in range(given.rounds)]
        ends = f"{min(warm):.2f} to {max(warm):.2f}"
        print(f"| {case}, {precision} | {cold:.1f} | {statistics.median(warm):.2f} ({ends}) |", flush=True)


if __name__ == "__main__":
    main()
