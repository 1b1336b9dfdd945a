"""The process that compiles a run's kernels ahead: what it compiles, when it starts, and that it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_cell import CELLS
from networks import config, network
from small import settings as small_settings
from small import write_texts

from rnnlm.config.base import sections
from rnnlm.config.network import Model
from rnnlm.config.schema import Config
from rnnlm.kernels import compiling
from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel import thread_pool
from rnnlm.kernels.parallel.thread_pool import Call
from rnnlm.measure import warmup
from rnnlm.network.network import Window
from rnnlm.training import compile_ahead
from rnnlm.training import loop as training
from rnnlm.training.averaging import Average
from rnnlm.training.compile_ahead import Calls
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.records import Updates
from rnnlm.training.update import TrainingWindow, update

OUTPUTS = [
    (vocabulary, {"output": output, **tied})
    for name, section in sections(Model, "output").types.items()
    for output in warmup._variants(section)
    for vocabulary in (20, 600)
    for tied in ({}, *([{"tie_weights": True}] if getattr(section, "ties", False) else []))
]
OTHERS: list[dict[str, Any]] = [
    {"dropout": 0.3, "layers": 2, "clip_value": 1.0, "optimizer": "adam", "average": "ema"},
    {"model": {"layer_norm": True, "dropout": {"input": 0.5, "words": 0.2, "recurrent": 0.5}}, "loss": "last"},
    {"accumulate": 2, "precision": "float64", "optimizer": "lion"},
    {"penalties": {"label_smoothing": 0.1, "activation": 1.0, "temporal": 1.0}, "bptt_stride": 3},
]


@contextmanager
def listened_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Call]]:
    """The calls that are made inside the block, which run."""
    made: list[Call] = []
    run = thread_pool._run

    def told(count: int, kernel: Any, arguments: tuple[Any, ...]) -> None:
        made.append(thread_pool._call(kernel, arguments))
        run(count, kernel, arguments)

    with monkeypatch.context() as patch:
        patch.setattr(thread_pool, "_run", told)
        yield made


def calls_made(settings: Config, vocabulary: int, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What a real update, and then scoring, call: random weights, tokens and resets."""
    train, generator = settings.train, np.random.default_rng(0)
    made = network(settings, vocabulary)
    shape = (train.bptt, train.batch)
    inputs, targets = (generator.integers(0, vocabulary, shape).astype(np.int32) for _ in range(2))
    read = Window(inputs, generator.random(shape) < 0.2, made.initial_states(train.batch))
    windows = [TrainingWindow(read, targets, 1 if train.loss == "last" else train.stride, (0, 0))] * train.accumulate
    optimizer, average = Optimizer(train, made.named), Average(train, made.named)
    with listened_to(monkeypatch) as of_update:
        update(made, optimizer, windows, train.accumulate, 0.1, average)
    with listened_to(monkeypatch) as of_scoring:
        made.scores(made.forward(read), targets)
    return Calls(of_update, of_scoring)


def check(settings: Config, vocabulary: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = compile_ahead.calls(settings, vocabulary)
    wanted = calls_made(settings, vocabulary, monkeypatch)
    assert len(wanted.update) > 5
    assert len(wanted.scoring) > 1
    assert set(found.update) == set(wanted.update)
    assert set(found.scoring) == set(wanted.scoring)


@pytest.mark.parametrize("model", CELLS.values(), ids=CELLS.keys())
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_knows_the_calls_of_every_cell(
    model: dict[str, Any], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(config(model=model, precision=precision, bptt=6, batch=4, layers=2), 30, monkeypatch)


@pytest.mark.parametrize(("vocabulary", "model"), OUTPUTS, ids=str)
def test_it_knows_the_calls_of_every_output_layer(
    vocabulary: int, model: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(config(model=model, precision="float32", bptt=6, batch=4), vocabulary, monkeypatch)


@pytest.mark.parametrize("options", OTHERS, ids=str)
def test_it_knows_the_calls_of_other_options(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    check(config(**({"precision": "float32", "bptt": 6, "batch": 4} | options)), 30, monkeypatch)


def test_kernels_that_are_noted_do_not_run() -> None:
    @thread_pool.parallel
    def fill(thread, x):
        x[thread.number] = 1

    x = np.zeros(2)
    with thread_pool.noted() as found:
        fill(2, x)
    assert not x.any()
    assert len(found) == 1
    found[0].compile()
    fill(2, x)
    assert x.all()


def not_kept() -> Any:
    """What is compiled anew at each call: code with a closure has no place in the cache."""
    one = 1.0
    return jit(lambda x: x + one)


def test_a_function_is_called_once_when_something_is_compiled() -> None:
    calls: list[int] = []
    compiling.call_at_next(lambda: calls.append(1))
    increment = not_kept()
    assert not calls
    assert increment(1.0) == 2.0
    assert increment(np.float32(1)) == 2.0
    assert calls == [1]


@pytest.mark.skipif(thread_pool.available_threads() < 2, reason="one core")
def test_a_run_starts_it_when_it_compiles_and_not_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_texts(tmp_path)
    started: list[tuple[Config, int]] = []
    monkeypatch.setattr(compile_ahead, "_start", lambda *given: started.append(given))

    def run(threads: int, compiles: bool) -> None:
        settings = small_settings(tmp_path, run="run", threads=threads, epochs=1)
        for record in training.train(settings, restart=True):
            if compiles and isinstance(record, Updates):
                not_kept()(1.0)

    run(2, compiles=False)
    started.clear()  # the run's kernels may or may not have been in the cache
    run(2, compiles=False)
    not_kept()(1.0)
    run(1, compiles=True)
    assert not started
    run(2, compiles=True)
    ((settings, vocabulary),) = started
    assert settings.run == str(tmp_path / "run")
    assert vocabulary == len((tmp_path / "run" / "vocab.txt").read_text().splitlines())


PROGRAM = """
import sys, time
from rnnlm.config.schema import Config
from rnnlm.training import compile_ahead
compile_ahead._start(Config.model_validate_json(sys.argv[1]), 20)
time.sleep(float(sys.argv[2]))
"""


def compiled_ahead(folder: Path, seconds: float) -> set[str]:
    """What lies in the cache after a process that compiled nothing itself has ended."""
    settings = config(precision="float32", bptt=6, batch=4).model_dump_json()
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, settings, str(seconds)], env=environment)
    end = time.monotonic() + seconds
    while time.monotonic() < end and not any("embedding" not in name for name in names(folder)):
        time.sleep(0.1)
    process.kill()
    process.wait()
    return names(folder)


def names(folder: Path) -> set[str]:
    return {path.name.split("-")[0] for path in folder.glob("*.nbc")}


def test_it_compiles_from_the_last_and_ends_with_its_run(tmp_path: Path) -> None:
    found = compiled_ahead(tmp_path, 60)
    assert "rnnlm.training.optimizers.optimizer._update_rows" in found
    assert not any("_recur" in name for name in found)
    # It ends after the kernel that it is at.
    end, before = time.monotonic() + 60, set[str]()
    while (now := names(tmp_path)) != before and time.monotonic() < end:
        before = now
        time.sleep(4)
    assert not any("_recur" in name for name in names(tmp_path))


def test_a_process_that_cannot_be_started_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    compile_ahead._start(config(), 20)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.name.startswith("rnnlm-"):
            thread.join(10)
    assert not failed
