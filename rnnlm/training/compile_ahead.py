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
from pydantic import BaseModel

from rnnlm.config.schema import Config
from rnnlm.kernels import cache, compiling
from rnnlm.kernels.matmul.choice import choose
from rnnlm.kernels.parallel.thread_pool import Call, noted
from rnnlm.network import build
from rnnlm.network.network import Network, Window
from rnnlm.network.parameters import unflatten
from rnnlm.training.averaging import Average
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.update import TrainingWindow, update

# The process ends after so long, whatever it does.
_SECONDS = 120


def begin(network: Network) -> None:
    """Start the process as soon as this one begins to compile a kernel, if it does, and has a core to spare."""
    if network.threads > 1:
        compiling.call_at_next(lambda: _start(network))


def end() -> None:
    """Start none any more."""
    compiling.call_at_next(None)


def _start(network: Network) -> None:
    """What happens to the process does not matter: the run compiles itself what it does not find."""
    if cache.folder() is None:
        return
    given = Given(
        config=network.config, vocabulary=network.vocabulary_size, products=network.products.name, parent=os.getpid()
    )
    # A thread waits for the process, so that none is left behind.
    thread = threading.Thread(target=_run, args=(given,), daemon=True, name="rnnlm-compile-ahead")
    with suppress(RuntimeError):
        thread.start()


class Given(BaseModel):
    """What the process is given."""

    config: Config
    vocabulary: int  # |V|
    products: str  # the name of the run's way to multiply
    parent: int  # the process that has asked for it


def _run(given: Given) -> None:
    command = [sys.executable, "-P", "-m", __name__]
    with suppress(OSError, ValueError):
        subprocess.run(command, input=given.model_dump_json().encode(), capture_output=True, check=False)


class Calls(NamedTuple):
    """Calls of kernels, in their order."""

    update: list[Call]
    scoring: list[Call]


def calls(config: Config, vocabulary: int, products: str | None = None) -> Calls:
    """The calls that the first update and the first validation of a run make. It takes hardly any memory: where
    nobody writes, zeros have none.

    Args:
        vocabulary: |V|.
        products: the name of the run's way to multiply; None: the best way here.
    """
    config = _without_noise(config)
    settings = config.train
    zeros = {name: np.zeros(shape, settings.dtype) for name, shape in build.shapes(config, vocabulary).items()}
    network = build.build(config, unflatten(zeros), products=choose(settings.precision, products))
    # From all of the vocabulary: some output layers call a kernel for each group of targets.
    shape = (settings.bptt, settings.batch)
    ids = np.linspace(0, vocabulary - 1, np.prod(shape)).astype(np.int32).reshape(shape)
    window = Window(ids, np.zeros(shape, np.bool_), network.initial_states(settings.batch))
    steps = 1 if settings.loss == "last" else settings.stride
    optimizer = Optimizer(settings, network.named)
    average = Average(settings, {"one": np.zeros(1, settings.dtype)})  # it copies what it is given
    with noted() as of_update:
        update(network, optimizer, [TrainingWindow(window, ids, steps, (0, 0))], 1, 0.0, average)
    with noted() as of_scoring:
        network.scores(network.forward(window), ids)
    return Calls(of_update, of_scoring)


def _without_noise(config: Config) -> Config:
    """Without the noise of the gradient, which has no kernel."""
    return config.model_copy(update={"train": config.train.model_copy(update={"gradient_noise": 0.0})})


def main() -> None:
    """Compile what standard input names, until the process that asked for it has ended."""
    clock = threading.Timer(_SECONDS, os._exit, [1])
    clock.daemon = True
    clock.start()
    given = Given.model_validate_json(sys.stdin.buffer.read())
    found = calls(given.config, given.vocabulary, given.products)
    for call in [*reversed(found.update), *found.scoring]:
        if os.getppid() != given.parent:
            break
        call.compile()


if __name__ == "__main__":
    main()
