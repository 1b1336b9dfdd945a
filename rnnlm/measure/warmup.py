"""The warm-up: every kernel compiled ahead, by tiny networks through every path.

What is compiled depends on the type of the numbers and on the number of dimensions of the arrays alone, so that a
network of 4 units compiles the same code as one of 4,000. Compiled code goes to the cache that ``kernels.cache``
chooses."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rnnlm.config.base import Section, sections
from rnnlm.config.network import Model
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
from rnnlm.work import Note, Progress, Task, run_to_end

PRECISIONS = ("float32", "float64", "bfloat16")

# More than the slow units that an SCRN has by default.
_HIDDEN = 48


def warm_up(precisions: tuple[str, ...] = PRECISIONS) -> Task[Warmed]:
    """Compile for these precisions, as many processes at once as there are cores. Returns a Warmed."""
    began = time.monotonic()
    wanted = [name for name in precisions if name != "bfloat16" or HAS_BFLOAT16]
    if len(wanted) < len(precisions):
        yield Note("this processor has no products of bfloat16 (AVX512-BF16); nothing to compile for them")
    # What all parts need is compiled first, and read from the cache by the others.
    jobs = [(precision, part) for part in PARTS for precision in wanted]
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


def _network(precision: str, vocabulary: int = 20, train: dict[str, Any] | None = None, **model: Any) -> Network:
    config = Config.model_validate(
        {
            "data": {"train": "none"},
            "embedding": {"size": 4},
            "model": {"hidden": _HIDDEN, **model},
            "train": {"precision": precision, "threads": 2, "optimizer": "adam", "clip_value": 1.0, **(train or {})},
        }
    )
    table = np.zeros((vocabulary, 4))
    return build.build(config, build.init(config, vocabulary, table))


def _variants(types: dict[str, type[Section]]) -> Iterator[dict[str, Any]]:
    """Every type of a section, as it is and with whatever can be switched on."""
    for name, section in types.items():
        yield {"type": name}
        switches = {key: True for key, field in section.model_fields.items() if field.annotation is bool}
        if switches:
            yield {"type": name, **switches}


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
                "embedding": {"size": 4, "init": "skipgram" if precision == "float32" else "uniform"},
                "model": {"hidden": 4},
                "train": {"precision": precision, "batch": 2, "bptt": 5, "max_updates": 1, "average": "ema"},
                "run": str(Path(folder) / "run"),
            }
        )
        run_to_end(training.train(config))


def _common(precision: str) -> None:
    """What every network has: embedding, dropout, normalisation, optimizer, averages, an Elman cell and a softmax."""
    penalties = {"penalties": {"label_smoothing": 0.1}}
    _train(_network(precision, train=penalties, dropout={"input": 0.5, "words": 0.5, "recurrent": 0.5}))
    network = _network(precision, layer_norm=True)
    _train(network)
    _score(network, details=True)
    _sample(network)
    _read_a_text(precision)


def _cells(precision: str) -> None:
    """The recurrent layers."""
    for cell in _variants(sections(Model, "cell").types):
        network = _network(precision, cell=cell)
        _train(network)
        _sample(network)


def _outputs(precision: str) -> None:
    """The output layers, for small and large vocabularies, tied and not."""
    for output in _variants(sections(Model, "output").types):
        for vocabulary in (20, 600):
            for tie in (False, True):
                network = _network(precision, vocabulary, output=output, tie_weights=tie)
                _train(network)
                for details in (False, True):
                    _score(network, details)
                _sample(network)


PARTS: dict[str, Callable[[str], None]] = {"common": _common, "cells": _cells, "outputs": _outputs}

if __name__ == "__main__":
    compile_part(*sys.argv[1:3])
