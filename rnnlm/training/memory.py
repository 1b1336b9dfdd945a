"""Memory and disk that a run needs, and the check that they are there."""

from __future__ import annotations

import math
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from rnnlm.config.schema import Config
from rnnlm.errors import ResourceError
from rnnlm.network import build
from rnnlm.network.parameters import TABLE
from rnnlm.training.free_memory import available_memory
from rnnlm.training.freezing import trained
from rnnlm.training.optimizers.optimizer import RULES

# A token: its spelling, count and id, and its place in the header of a checkpoint that is being written. The tensors
# of a checkpoint take no memory of their own.
_TOKEN_BYTES = 300


@dataclass(frozen=True)
class Needs:
    """Numbers of the network and bytes of a training run."""

    parameters: int
    training_bytes: int
    disk_bytes: int


def needs(config: Config, vocabulary: int, tokens: int, threads: int) -> Needs:
    """What training takes beside Python itself (about 200 MB); `tokens`: of all encoded texts."""
    itemsize = 8 if config.train.dtype == "float64" else 4
    counts = {name: math.prod(shape) for name, shape in build.shapes(config, vocabulary).items()}
    parameters = sum(counts.values())
    weights = parameters * itemsize
    table = counts[TABLE] * itemsize
    dense = weights - (0 if config.model.tie_weights else table)
    # Of random lengths hardly one is longer than four deviations above the mean.
    longest = math.ceil(config.train.bptt + min(4 * config.train.bptt_deviation, tokens / config.train.batch))
    rows = longest * config.train.batch
    layers = sum(rows * (cell.held + 2 * config.embedding.size) * itemsize for cell in build.cells(config))
    learning = sum(trained(config.train, counts).values()) * itemsize
    moments = len(RULES[config.train.optimizer.type].MOMENTS) * learning
    average = learning if config.train.average is not None else 0
    # Accumulated gradients are added up beside the window's own.
    gradients = dense * (2 if config.train.accumulate > 1 else 1)
    training = (
        weights + gradients + moments + average
        + build.output(config, vocabulary).held_bytes(rows, itemsize, threads)
        + layers + vocabulary * _TOKEN_BYTES
    )  # fmt: skip
    # The model, the state, and one of them being written beside its place.
    disk = 2 * (weights + moments + average) + weights + tokens * (2 if vocabulary < 2**16 else 4)
    return Needs(parameters, training, disk)


def peak() -> int | None:
    """The most bytes of memory that this process ever held; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def check(config: Config, need: Needs, held: int = 0) -> None:
    """Refuse a run that this machine cannot hold, before it starts.

    Args:
        held: bytes of it that are in memory already.

    Raises:
        ResourceError: too little memory or disk.
    """
    memory = available_memory()
    if memory is not None and need.training_bytes - held > memory:
        raise ResourceError(
            f"training needs about {megabytes(need.training_bytes)} of memory, {megabytes(memory)} are free; "
            "lower model.hidden, embedding.size, vocab.max_size or train.batch"
        )
    folder = Path(config.run)
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if need.disk_bytes > free:
        raise ResourceError(
            f"{config.run}: the run needs about {megabytes(need.disk_bytes)} of disk, {megabytes(free)} are free; "
            "choose another place with --run"
        )


def megabytes(count: float) -> str:
    """1,234 MB, with a decimal below 10 MB."""
    return f"{count / 1e6:,.1f} MB" if count < 1e7 else f"{count / 1e6:,.0f} MB"
