"""The warm-up: every kernel compiled ahead, by tiny networks through every path.

What is compiled depends on the type of the numbers and on the number of dimensions of the arrays alone, so that a
network of 4 units compiles the same code as one of 4,000. Compiled code goes to the cache that ``kernels.cache``
chooses."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, get_args, get_origin

import numpy as np

from rnnlm.config.base import Section, Typed, sections
from rnnlm.config.network import Model
from rnnlm.config.schema import Config, Train
from rnnlm.errors import InputError, RnnlmError
from rnnlm.kernels import cache
from rnnlm.kernels.matmul.choice import choose
from rnnlm.kernels.matmul.layout import Numbers
from rnnlm.kernels.parallel.thread_pool import available_threads
from rnnlm.measure.records import Warmed
from rnnlm.network import build
from rnnlm.network.decoder import Decoder
from rnnlm.network.network import Network, Window
from rnnlm.network.parameters import Gradients
from rnnlm.network.protocols import Draw
from rnnlm.training import loop as training
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.update import TrainingWindow, update
from rnnlm.work import Note, Progress, Task, run_to_end

PRECISIONS = ("float32", "float64", "bfloat16", "bfloat16x3")

# More than the slow units that an SCRN has by default.
_HIDDEN = 48

# What a process prints when it has compiled a part.
_DONE = "compiled\n"


def warm_up(precisions: tuple[str, ...] = PRECISIONS) -> Task[Warmed]:
    """Compile for these precisions, with as many processes as there are cores. Returns a Warmed."""
    began = time.monotonic()
    folder = cache.folder()
    if not folder:
        raise RnnlmError("compiled code cannot be kept: name a folder for it in NUMBA_CACHE_DIR")
    wanted = []
    for precision in precisions:
        if problem := _nothing_for(precision):
            yield Note(f"{problem}; nothing to compile for {precision}")
        else:
            wanted.append(precision)
    # What all parts need is compiled first, and read from the cache by the others.
    parts = [f"{precision} {part}" for part in PARTS for precision in wanted]
    workers = [_start() for _ in range(min(available_threads(), len(parts)))]
    left: SimpleQueue[str] = SimpleQueue()
    ended: SimpleQueue[str] = SimpleQueue()
    for part in [*parts, *("" for _ in workers)]:
        left.put(part)
    try:
        for worker in workers:
            threading.Thread(target=_hand_out, args=(left, worker, ended), daemon=True).start()
        for done in range(len(parts)):
            yield Progress("compiling", done, len(parts), "parts")
            if error := ended.get():
                raise RnnlmError(f"compiling failed: {error}")
        yield Progress("compiling", len(parts), len(parts), "parts")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return Warmed(tuple(wanted), time.monotonic() - began, str(folder))


def _nothing_for(precision: str) -> str | None:
    """Why this precision has no kernels of its own here."""
    try:
        products = choose(precision)
    except InputError as error:
        return str(error)
    same = products.layout is Numbers and precision == "bfloat16"
    return f"bfloat16 trains in float32 here: {products.why}" if same else None


def _start() -> subprocess.Popen[str]:
    """A process that compiles each part whose name it reads."""
    return subprocess.Popen(
        [sys.executable, "-m", "rnnlm.measure.warmup"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _hand_out(left: SimpleQueue[str], worker: subprocess.Popen[str], ended: SimpleQueue[str]) -> None:
    """Give a worker one part after the other; `ended` gets the error of each, empty if there was none."""
    assert worker.stdin
    assert worker.stdout
    while part := left.get():
        with contextlib.suppress(OSError):  # the process has ended: it will answer nothing
            worker.stdin.write(f"{part}\n")
            worker.stdin.flush()
        printed = []
        for line in worker.stdout:
            if line == _DONE:
                ended.put("")
                break
            printed.append(line)
        else:
            ended.put("".join(printed) or "a process was killed")


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


def _variants(section: type[Section]) -> Iterator[dict[str, Any]]:
    """One type of a section, as it is, with each of the values that a key chooses from, with each section that it can
    have inside, and with whatever can be switched on."""
    name = section.model_fields["type"].default
    yield {"type": name}
    for key, field in section.model_fields.items():
        if get_origin(field.annotation) is Literal and key != "type":
            yield from ({"type": name, key: value} for value in get_args(field.annotation) if value != field.default)
        for inner in get_args(field.annotation):
            if isinstance(inner, type) and issubclass(inner, Section) and not issubclass(inner, Typed):
                yield {"type": name, key: {}}
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
    decoder.draw(Draw(1.0, np.zeros(1), log_probability=np.zeros(1)))


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
                "train": {
                    "precision": precision,
                    "threads": 1,  # so that no other process compiles ahead: there is one a core here
                    "batch": 2,
                    "bptt": 5,
                    "max_updates": 1,
                    "average": "ema",
                },
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


def _cell(section: type[Section], precision: str) -> None:
    """One kind of recurrent layer."""
    for cell in _variants(section):
        network = _network(precision, cell=cell)
        _train(network)
        _sample(network)


def _output(section: type[Section], precision: str) -> None:
    """One kind of output layer, for small and large vocabularies, tied and not."""
    for output in _variants(section):
        for vocabulary in (20, 600):
            for tie in (False, True) if getattr(section, "ties", False) else (False,):
                network = _network(precision, vocabulary, output=output, tie_weights=tie)
                _train(network)
                for details in (False, True):
                    _score(network, details)
                _sample(network)


def _optimizer(section: type[Section], precision: str) -> None:
    """One rule, on a whole parameter and on two rows of it."""
    settings = Train.model_validate(
        {"precision": precision, "optimizer": {"type": section.model_fields["type"].default}}
    )
    w = np.zeros((20, _HIDDEN), settings.dtype)
    gradients = Gradients(dense={"w": w.copy()}, rows={"w": (np.arange(2, dtype=np.int32), w[:2].copy())})
    Optimizer(settings, {"w": w}).update(gradients, 0.1, 1.0, 1)


# By name; what all the others need comes first.
PARTS: dict[str, Callable[[str], None]] = {"common": _common}
for _of, _key, _part in ((Model, "cell", _cell), (Model, "output", _output), (Train, "optimizer", _optimizer)):
    for _name, _section in sections(_of, _key).types.items():
        PARTS[f"{_key}.{_name}"] = partial(_part, _section)

if __name__ == "__main__":
    for line in sys.stdin:
        compile_part(*line.split())
        os.write(1, _DONE.encode())
