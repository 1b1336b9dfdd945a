"""Signals: heard at once, obeyed where the state is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import pytest
from small import settings, write_texts

import rnnlm
from rnnlm.config import file as config_file
from rnnlm.files import model_file
from rnnlm.interrupt import STOPPING, interrupts

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_told_and_the_second_interrupts(number: signal.Signals) -> None:
    told: list[str] = []
    heard = threading.Event()
    before = [signal.getsignal(number) for number in SIGNALS]

    def tell(text: str) -> None:
        told.append(text)
        heard.set()

    with interrupts(tell) as stop:
        assert not stop()
        signal.raise_signal(number)
        assert heard.wait(30)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert told == [STOPPING]
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_signal_is_told_while_python_hears_nothing() -> None:
    """A kernel, or its compilation, keeps Python from its own handlers: compressing random bytes stands for it."""
    ended = False
    told: list[bool] = []
    data = random.Random(1).randbytes(30_000_000)
    with interrupts(lambda text: told.append(ended)) as stop:
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        while not stop():
            zlib.compress(data, 9)
            ended = True
    assert told == [False]


def test_a_terminal_that_is_gone_does_not_keep_it_from_stopping() -> None:
    def tell(text: str) -> None:
        raise OSError(5, "Input/output error")

    with interrupts(tell) as stop:
        signal.raise_signal(signal.SIGHUP)
        assert stop()


def test_nohup_stays_nohup() -> None:
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, old)


def test_in_another_thread_there_are_no_signals() -> None:
    found: list[bool] = []

    def work() -> None:
        with interrupts() as stop:
            found.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


def test_ctrl_c_in_python_saves_what_was_trained(tmp_path: Path) -> None:
    """As in a notebook, where no command line has a handler: the run then goes on from where it was."""
    write_texts(tmp_path)
    keys = dict(epochs=10_000, patience=None, checkpoint={"every_updates": None})
    config = settings(tmp_path, **keys)
    log = tmp_path / "run" / "log.jsonl"

    def press() -> None:
        deadline = time.monotonic() + 120
        while not (log.exists() and '"updates": 150' in log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        rnnlm.train(config)
    thread.join()
    updates = model_file.load(tmp_path / "run" / "state.safetensors").training["updates"]
    assert updates >= 150
    longer = settings(tmp_path, **keys, max_updates=updates + 3)
    rnnlm.train(longer, resume=True)
    assert model_file.load(tmp_path / "run" / "state.safetensors").training["updates"] == updates + 3


@pytest.mark.slow
def test_ctrl_c_at_any_moment_shows_no_traceback(tmp_path: Path) -> None:
    write_texts(tmp_path)
    config = tmp_path / "c.yaml"
    config.write_text(config_file.dump(settings(tmp_path, epochs=10_000, patience=None)))
    for i in range(30):
        process = subprocess.Popen(
            [sys.executable, "-m", "rnnlm", "train", str(config), "--run", str(tmp_path / f"run{i}")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(0.05 + 0.05 * i)  # later than the first line of Python's own start
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        assert process.returncode in (130, -signal.SIGINT), err
        assert "Traceback" not in err
        assert "internal" not in err
