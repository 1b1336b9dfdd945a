"""The warm-up: every kernel compiled ahead, by tiny networks through every path.

What is compiled depends on the type of the numbers and on the number of dimensions of the arrays alone, so that a
network of 4 units compiles the same code as one of 4,000. Compiled code goes to the cache that ``kernels.cache``
chooses."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rnnlm.config.schema import Config
from rnnlm.errors import RnnlmError
from rnnlm.kernels.cache import use_folder
from rnnlm.kernels.cpu import HAS_BFLOAT16
from rnnlm.kernels.parallel.thread_pool import available_threads
from rnnlm.measure.records import Warmed
from rnnlm.network import build
from rnnlm.network.decoder import Decoder
from rnnlm.network.network import Network, Window
from rnnlm.network.protocols import Draw
from rnnlm.training import loop as training
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.update import TrainingWindow, update
from rnnlm.work import Note, Progress, Task

PRECISIONS = ("float32", "float64", "bfloat16")


def warm_up(precisions: tuple[str, ...] = PRECISIONS) -> Task[Warmed]:
    """Compile for these precisions, as many processes at once as there are cores. Returns a Warmed."""
    began = time.monotonic()
    wanted = [name for name in precisions if name != "bfloat16" or HAS_BFLOAT16]
    if len(wanted) < len(precisions):
        yield Note("this processor has no products of bfloat16 (AVX512-BF16); nothing to compile for them")
    jobs = [(precision, part) for precision in wanted for part in PARTS]
    total = len(jobs)
    running: list[subprocess.Popen[str]] = []
    while jobs or running:
        yield Progress("compiling", total - len(jobs) - len(running), total, "parts")
        while jobs and len(running) < available_threads():
            running.append(_start(*jobs.pop(0)))
        time.sleep(0.05)
        for process in [process for process in running if process.poll() is not None]:
            running.remove(process)
            if process.returncode:
                raise RnnlmError(f"compiling failed: {process.stderr.read() if process.stderr else ''}")
    yield Progress("compiling", total, total, "parts")
    return Warmed(tuple(wanted), time.monotonic() - began, use_folder())


def _start(precision: str, part: str) -> subprocess.Popen[str]:
    """A process that compiles one part."""
    command = [sys.executable, "-m", "rnnlm.measure.warmup", precision, part]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def compile_part(precision: str, part: str) -> None:
    """Run one part's kernels in this process."""
    PARTS[part](precision)


def _network(precision: str, vocabulary: int, **settings: Any) -> Network:
    config = Config.model_validate(
        {
            "data": {"train": "none"},
            "embedding": {"size": 4},
            "model": {"hidden": 4, **settings},
            "train": {"precision": precision, "threads": 2, "optimizer": "adam", "clip_value": 1.0},
        }
    )
    table = np.zeros((vocabulary, 4))
    return build.build(config, build.init(config, vocabulary, table))


def _window(network: Network) -> TrainingWindow:
    """Three steps of two streams."""
    ids = np.arange(6, dtype=np.int32).reshape(3, 2) % network.vocabulary_size
    window = Window(ids, np.zeros((3, 2), np.bool_), network.initial_states(2))
    return TrainingWindow(window, ids, 3, (0, 0))


def _train(network: Network) -> None:
    update(network, Optimizer(network.config.train, network.named), [_window(network)], 1, 0.1)


def _score(network: Network, details: bool) -> None:
    window = _window(network)
    network.scores(network.forward(window.window), window.targets, details)


def _sample(network: Network) -> None:
    decoder = Decoder(network, network.initial_states(1))
    decoder.step(np.zeros(1, np.int32))
    decoder.log_distribution()
    decoder.draw(Draw(1.0, -1, np.zeros(1)))


def _read_a_text(precision: str) -> None:
    """A run as short as can be, which is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_text("a b\n" * 20, encoding="utf-8")
        config = Config.model_validate(
            {
                "data": {"train": str(text), "unit": "char"},
                "embedding": {"size": 4},
                "model": {"hidden": 4},
                "train": {"precision": precision, "batch": 2, "bptt": 5, "max_updates": 1},
                "run": str(Path(folder) / "run"),
            }
        )
        for _ in training.train(config):
            pass


def _small(precision: str) -> None:
    """The recurrent layers, dropout, the optimizer, and the softmax of a small vocabulary."""
    _train(_network(precision, 20, dropout=0.5))
    network = _network(precision, 20, tie_weights=True)
    _train(network)
    _score(network, details=True)
    _sample(network)
    _read_a_text(precision)


def _large(precision: str) -> None:
    """The softmax of a large vocabulary."""
    network = _network(precision, 600)
    _train(network)
    _score(network, details=False)


def _mixture(precision: str) -> None:
    """The mixture of softmaxes, tied and not."""
    for tie in (False, True):
        network = _network(precision, 20, output={"type": "mixture", "softmaxes": 2}, tie_weights=tie)
        _train(network)
        for details in (False, True):
            _score(network, details)
            _sample(network)


PARTS: dict[str, Callable[[str], None]] = {"small": _small, "large": _large, "mixture": _mixture}

if __name__ == "__main__":
    compile_part(*sys.argv[1:3])
