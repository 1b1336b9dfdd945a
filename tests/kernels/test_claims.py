"""Claims: who compiles a function while others wait for it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rnnlm.kernels import claims

pytestmark = pytest.mark.skipif(claims.fcntl is None, reason="a system without these locks")

HOLDER = """
import sys, time
from pathlib import Path
from rnnlm.kernels import claims
path = Path(sys.argv[1])
claims.claim(path)
print("claimed", flush=True)
sys.stdin.readline()
path.write_bytes(b"code")
claims.release(path)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "function.nbc"


def other(path: Path) -> subprocess.Popen[str]:
    """Another process that has claimed this file, and writes it when it reads a line."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "claimed\n"
    return process


def test_who_comes_second_waits_for_the_first(path: Path) -> None:
    process = other(path)
    assert process.stdin
    seen: list[bool] = []

    def sleep(seconds: float) -> None:
        seen.append(path.exists())
        if len(seen) == 3:
            process.communicate("go on\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims.time, "sleep", sleep)
        claims.claim(path)
    assert seen[:3] == [False] * 3
    assert path.read_bytes() == b"code"
    claims.release(path)
    assert os.listdir(path.parent) == ["function.nbc"]


def test_a_claim_ends_with_its_process(path: Path) -> None:
    process = other(path)
    process.kill()
    process.communicate()
    claims.claim(path)
    assert path in claims._held
    claims.release(path)
    assert not claims._held


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="a system whose processes are not stopped")
def test_nobody_waits_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = other(path)
    process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(claims, "_PATIENCE", 0.2)
    began = time.monotonic()
    claims.claim(path)
    assert time.monotonic() - began >= 0.2
    assert not claims._held
    claims.release(path)
    process.kill()
    process.communicate()


def test_a_process_does_not_wait_for_itself(path: Path) -> None:
    claims.claim(path)
    claims.claim(path)
    claims.release(path)
    claims.release(path)
    assert os.listdir(path.parent) == []


def test_without_locks_nobody_waits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*anything: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with monkeypatch.context() as patch:
        patch.setattr(claims.fcntl, "flock", fails)
        claims.claim(path)
    with monkeypatch.context() as patch:
        patch.setattr(claims, "fcntl", None)
        claims.claim(path)
    claims.claim(path.parent / "no such folder" / "function.nbc")
    assert not claims._held
