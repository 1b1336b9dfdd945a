"""The process that compiles a run's kernels ahead: what it compiles, when it starts, and that it ends."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from every_cell import CELLS
from networks import config, network
from small import settings as small_settings
from small import write_texts

from rnnlm.config.base import sections
from rnnlm.config.network import Model
from rnnlm.config.schema import Config
from rnnlm.kernels import cache, compiling
from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel import thread_pool
from rnnlm.kernels.parallel.thread_pool import Call
from rnnlm.measure import warmup
from rnnlm.network.network import Network, Window
from rnnlm.training import compile_ahead
from rnnlm.training import loop as training
from rnnlm.training.averaging import Average
from rnnlm.training.compile_ahead import Calls
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.run import Run
from rnnlm.training.update import TrainingWindow, update
from rnnlm.work import run_to_end

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
    with monkeypatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("rnnlm.network.outputs") and name.endswith(".layer"):
                patch.setattr(module, "np", Numpy())
        found = compile_ahead.calls(settings, vocabulary)
    wanted = calls_made(settings, vocabulary, monkeypatch)
    assert len(wanted.update) > 5
    assert len(wanted.scoring) > 1
    assert set(found.update) == set(wanted.update)
    assert set(found.scoring) == set(wanted.scoring)


class Numpy:
    """NumPy, whose ``empty`` has no numbers: nothing may depend on what a kernel would have written there."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: Any, dtype: Any = np.float64) -> Any:
        made = np.empty(shape, dtype)
        made.fill(np.nan if np.issubdtype(made.dtype, np.floating) else np.iinfo(made.dtype).max)
        return made


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
    (call,) = found
    call.compile()
    fill(2, x)
    assert x.all()
    assert call.kernel.signatures == [call.types]


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


def test_a_function_that_fails_changes_nothing() -> None:
    def fails() -> None:
        raise RuntimeError("can't start new thread")

    level = int(numba.config.OPT)  # type: ignore[attr-defined]
    compiling.call_at_next(fails)
    with pytest.raises(RuntimeError), compiling.compiling_alone():
        pass
    assert (int(numba.config.OPT), gc.isenabled()) == (level, True)  # type: ignore[attr-defined]
    assert compiling._compiling._depth == 0


needs_two_cores = pytest.mark.skipif(thread_pool.available_threads() < 2, reason="one core")


@needs_two_cores
def test_a_run_starts_it_when_its_first_update_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_texts(tmp_path)
    started: list[Network] = []
    monkeypatch.setattr(compile_ahead, "_start", started.append)
    update_of_run = Run.update
    updates: list[int] = []

    def compiles(run: Run) -> float:
        updates.append(run.at.updates)
        if run.at.updates == number:
            not_kept()(1.0)
        return update_of_run(run)

    monkeypatch.setattr(Run, "update", compiles)

    def run(threads: int) -> None:
        settings = small_settings(tmp_path, run="run", threads=threads, max_updates=3)
        run_to_end(training.train(settings, restart=True))

    number = -1
    run(2)
    started.clear()  # the run's kernels may or may not have been in the cache
    number = 1
    run(2)
    not_kept()(1.0)
    number = 0
    run(1)
    assert not started
    run(2)
    (network,) = started
    assert network.config.run == str(tmp_path / "run")
    assert updates == [0, 1, 2] * 4


TRAINS = """
import sys
from pathlib import Path
from small import settings, write_texts
from rnnlm.training import compile_ahead, loop
from rnnlm.work import run_to_end
folder = Path(sys.argv[1])
write_texts(folder)
compile_ahead._start = lambda network: print("starts it")
run_to_end(loop.train(settings(folder, run="run", threads=2, max_updates=2), restart=True))
"""


@needs_two_cores
def test_a_run_whose_kernels_are_all_in_the_cache_starts_none(tmp_path: Path) -> None:
    """Nor for routines, which kernels bring with them."""
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), *sys.path])
    said = [
        subprocess.run(
            [sys.executable, "-c", TRAINS, str(tmp_path)], capture_output=True, text=True, check=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": path},
        ).stdout
        for _ in range(2)
    ]  # fmt: skip
    assert said == ["starts it\n", ""]


@needs_two_cores
def test_it_knows_the_calls_of_a_real_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_texts(tmp_path)
    settings = small_settings(tmp_path, unit="char", threads=2, max_updates=1, average="ema")
    with listened_to(monkeypatch) as made:
        run_to_end(training.train(settings))
    vocabulary = len((tmp_path / "run" / "vocab.txt").read_text().splitlines())
    found = compile_ahead.calls(settings, vocabulary)
    assert set(made) == {*found.update, *found.scoring}


SIZES = """
import resource, sys
from rnnlm.config.schema import Config
from rnnlm.training import compile_ahead
for vocabulary in 100, 100_000:
    compile_ahead.calls(Config.model_validate_json(sys.argv[1]), vocabulary)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="kilobytes here, bytes elsewhere")
def test_it_takes_hardly_any_memory() -> None:
    settings = config(
        hidden=256, d=256, precision="float32", optimizer="adam", average="ema", accumulate=2, gradient_noise=0.1
    )
    made = subprocess.run(
        [sys.executable, "-c", SIZES, settings.model_dump_json()], capture_output=True, text=True, check=True
    )
    small, large = map(int, made.stdout.split())
    weights = 2 * 100_000 * 256 * 4 / 1024
    assert large - small < weights / 4


def given(parent: int) -> bytes:
    """What a process is given that compiles for this one."""
    settings = config(precision="float32", bptt=6, batch=4)
    made = compile_ahead.Given(config=settings, vocabulary=20, products="float32", parent=parent)
    return made.model_dump_json().encode()


def started(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "rnnlm.training.compile_ahead"]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def names(folder: Path) -> set[str]:
    return {path.name.split("-")[0] for path in folder.glob("*.nbc")}


def kernels(folder: Path) -> set[str]:
    """Those that have been compiled, but for what is run to know their types."""
    return {name for name in names(folder) if "embedding" not in name}


def wait_for_a_kernel(folder: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not kernels(folder) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
    assert kernels(folder)


def test_it_begins_with_the_last_kernel_and_ends_with_its_run(tmp_path: Path) -> None:
    process = started(tmp_path)
    assert process.stdin
    process.stdin.write(given(os.getpid()))
    process.stdin.close()
    wait_for_a_kernel(tmp_path, process)
    assert "rnnlm.training.optimizers.optimizer._update_rows" in names(tmp_path)
    assert not any("_recur" in name for name in names(tmp_path))
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert not any(path.suffix == ".tmp" for path in tmp_path.iterdir())


def test_it_compiles_nothing_for_a_run_that_has_ended(tmp_path: Path) -> None:
    process = started(tmp_path)
    process.communicate(given(parent=-1), timeout=60)
    assert process.returncode == 0
    assert not kernels(tmp_path)


def test_it_ends_when_it_does_not_understand(tmp_path: Path) -> None:
    process = started(tmp_path)
    process.communicate(b'{"bad": 1}', timeout=20)
    assert process.returncode == 1


def test_whatever_happens_to_it_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    compile_ahead._start(network(config(), 20))
    for thread in threading.enumerate():
        if thread.name == "rnnlm-compile-ahead":
            thread.join(10)
    assert not failed


def test_where_nothing_is_kept_it_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(subprocess, "run", lambda *given, **more: started.append(given))
    monkeypatch.setattr(cache, "folder", lambda: None)
    compile_ahead._start(network(config(), 20))
    assert not any(thread.name == "rnnlm-compile-ahead" for thread in threading.enumerate())
    assert not started
