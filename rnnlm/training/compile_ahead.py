"""Compiling ahead: a second process compiles a run's kernels from the last to the first.

The run compiles them from the first. They meet in the middle: each reads from the cache what the other has compiled.

The process builds the run's network, with zeros for weights, and goes through an update whose kernels are noted and
not run (``kernels.parallel.thread_pool.noted``). Then it compiles what the first validation needs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from rnnlm.config.schema import Config
from rnnlm.kernels import compiling
from rnnlm.kernels.parallel.thread_pool import Call, noted, threads_to_use
from rnnlm.network import build
from rnnlm.network.network import Window
from rnnlm.network.parameters import unflatten
from rnnlm.training.averaging import Average
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.update import TrainingWindow, update

# The process ends after so long, whatever it does.
_SECONDS = 120


def begin(config: Config, vocabulary: int) -> None:
    """Start the process as soon as this one begins to compile a kernel, if it does, and has a core to spare.

    Args:
        vocabulary: |V|.
    """
    if threads_to_use(config.train.threads) > 1:
        compiling.call_at_next(lambda: _start(config, vocabulary))


def end() -> None:
    """Start none any more."""
    compiling.call_at_next(None)


def _start(config: Config, vocabulary: int) -> None:
    # A thread waits for the process, so that none is left behind.
    threading.Thread(target=_run, args=(config.model_dump_json(), vocabulary), daemon=True).start()


def _run(config: str, vocabulary: int) -> None:
    """What the process says does not matter: where it fails, the run compiles everything itself."""
    command = [sys.executable, "-P", "-m", __name__, str(os.getpid()), str(vocabulary)]
    with suppress(OSError):
        subprocess.run(command, input=config.encode(), capture_output=True, check=False)


class Calls(NamedTuple):
    """Calls of kernels, in their order."""

    update: list[Call]
    scoring: list[Call]


def calls(config: Config, vocabulary: int) -> Calls:
    """The calls that the first update and the first validation of a run make."""
    settings = config.train
    zeros = {name: np.zeros(shape, settings.dtype) for name, shape in build.shapes(config, vocabulary).items()}
    network = build.build(config, unflatten(zeros))
    # From all of the vocabulary: some output layers call a kernel for each group of targets.
    shape = (settings.bptt, settings.batch)
    ids = np.linspace(0, vocabulary - 1, np.prod(shape)).astype(np.int32).reshape(shape)
    window = Window(ids, np.zeros(shape, np.bool_), network.initial_states(settings.batch))
    steps = 1 if settings.loss == "last" else settings.stride
    optimizer, average = Optimizer(settings, network.named), Average(settings, network.named)
    with noted() as of_update:
        update(network, optimizer, [TrainingWindow(window, ids, steps, (0, 0))], 1, 0.0, average)
    with noted() as of_scoring:
        network.scores(network.forward(window), ids)
    return Calls(of_update, of_scoring)


def main(parent: int, vocabulary: int) -> None:
    """Compile, until the process that asked for it has ended."""
    threading.Timer(_SECONDS, os._exit, [1]).start()
    config = Config.model_validate_json(sys.stdin.read())
    found = calls(config, vocabulary)
    for call in [*reversed(found.update), *found.scoring]:
        if os.getppid() != parent:
            break
        call.compile()
    os._exit(0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
