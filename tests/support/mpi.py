"""The command line as several ranks of an MPI job."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ENVIRONMENT = {
    **os.environ,
    # Open MPI refuses root, as which tests run in containers, and more ranks than cores.
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "PYTHONWARNINGS": "ignore",
}


def mpiexec() -> str | None:
    """The ``mpiexec`` beside this Python, or the system's."""
    own = Path(sys.executable).parent / "mpiexec"
    return str(own) if own.exists() else shutil.which("mpiexec")


needs_mpi = pytest.mark.skipif(
    mpiexec() is None or importlib.util.find_spec("mpi4py") is None, reason="MPI is not here: pip install '.[mpi]'"
)


def command(ranks: int, *arguments: str) -> list[str]:
    return [str(mpiexec()), "-n", str(ranks), sys.executable, *arguments]


def rnnlm(ranks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``mpiexec -n RANKS rnnlm ARGUMENTS``."""
    return run(command(ranks, "-m", "rnnlm", *arguments))


def run(arguments: list[str], timeout: int = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, env=ENVIRONMENT, capture_output=True, text=True, timeout=timeout)


def errors(found: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of ours with an error; mpiexec has words of its own."""
    return [line for line in found.stderr.splitlines() if line.startswith("error: ")]


def trained(ranks: int, path: Any, *arguments: str) -> None:
    """Train the configuration of a file, without an error."""
    found = rnnlm(ranks, "train", str(path), "--quiet", *arguments)
    assert found.returncode == 0, found.stderr


def ranks_of(word: str) -> dict[int, int]:
    """The processes that have a word on their command line, by rank; without that which watches over them."""
    found: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            variables = dict(v.split(b"=", 1) for v in (folder / "environ").read_bytes().split(b"\0") if b"=" in v)
        except OSError:
            continue
        rank = variables.get(b"OMPI_COMM_WORLD_RANK", variables.get(b"PMI_RANK"))
        if word.encode() in words and b"-n" not in words and rank is not None:
            found.setdefault(int(rank), []).append(int(folder.name))
    return {rank: min(processes) for rank, processes in found.items()}


def ended(word: str) -> bool:
    """Whether the processes with a word on their command line end within 5 s: the watch sees once a second that the
    leader has gone."""
    stop = time.monotonic() + 5
    while ranks_of(word) and time.monotonic() < stop:
        time.sleep(0.05)
    return not ranks_of(word)
