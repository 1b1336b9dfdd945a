"""One training a folder: the lock, whoever holds it and however it ends."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rnnlm.errors import ModelError
from rnnlm.files import lock
from rnnlm.training.loop import train

HOLD = """
import sys
from pathlib import Path
from rnnlm.files import lock
with lock.held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_two_trainings_never_share_a_folder(make_config: Any) -> None:
    config = make_config(epochs=1)
    folder = Path(config.run)
    first = holder(folder)
    for options in ({}, {"resume": True}, {"restart": True}):
        with pytest.raises(ModelError, match=rf"another training runs there \(process {first.pid} on .*, since 20"):
            list(train(config, **options))
    first.communicate()
    assert not folder.exists()
    list(train(config))
    assert not (folder / lock.LOCK).exists()


@pytest.mark.skipif(lock.fcntl is None, reason="no locks")
def test_a_lock_dies_with_its_process(make_config: Any) -> None:
    config = make_config(epochs=1)
    first = holder(Path(config.run))
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert (Path(config.run) / lock.LOCK).exists()
    list(train(config))


def test_a_lock_in_one_process(tmp_path: Path) -> None:
    with lock.held(tmp_path / "a" / "run"):
        with pytest.raises(ModelError, match="another training"), lock.held(tmp_path / "a" / "run"):
            pass
        (tmp_path / "a" / "run" / "model").write_text("")
    assert [path.name for path in (tmp_path / "a" / "run").iterdir()] == ["model"]


def test_a_system_without_locks_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    with lock.held(tmp_path / "run"):
        pass
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(lock.fcntl is None, reason="no locks")
def test_whether_a_training_holds_it(tmp_path: Path) -> None:
    assert not lock.is_held(tmp_path / "nowhere")
    assert not lock.is_held(tmp_path)
    first = holder(tmp_path)
    assert lock.is_held(tmp_path)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert (tmp_path / lock.LOCK).exists(), "left by a process that was killed"
    assert not lock.is_held(tmp_path)
    with lock.held(tmp_path):
        pass


@pytest.mark.skipif(lock.fcntl is None, reason="no locks")
def test_several_readers_ask_at_once(tmp_path: Path) -> None:
    (tmp_path / lock.LOCK).write_text("")
    with open(tmp_path / lock.LOCK) as reader:
        lock.fcntl.flock(reader, lock.fcntl.LOCK_SH)
        assert not lock.is_held(tmp_path)


@pytest.mark.skipif(lock.fcntl is None, reason="no locks")
def test_who_only_asks_refuses_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / lock.LOCK).write_text("")
    with open(tmp_path / lock.LOCK) as reader:
        lock.fcntl.flock(reader, lock.fcntl.LOCK_SH)
        with pytest.raises(ModelError, match="another training"), lock.held(tmp_path):
            pass
        monkeypatch.setattr(lock.time, "sleep", lambda _: lock.fcntl.flock(reader, lock.fcntl.LOCK_UN))
        with lock.held(tmp_path):
            assert lock.is_held(tmp_path)


@pytest.mark.skipif(lock.fcntl is None, reason="no locks")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    assert not lock.is_held(tmp_path)
    with lock.held(tmp_path):
        assert lock.is_held(tmp_path), "as far as the file says"
    assert not lock.is_held(tmp_path)
