"""Texts that come through a pipe: read once, forward, where that is enough; refused at once where it is not."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

TEXT = "the dog sees the zebra\na bird sings\n\nthe cats sleep\n" * 5


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "my.txt").write_text(TEXT)
    return tmp_path / "my.txt"


@pytest.fixture(params=["-", "/dev/stdin", "fifo"])
def pipe(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The name of a pipe; of a named one, what opens it first is written to by a thread."""
    if request.param != "fifo":
        yield request.param
        return
    path = tmp_path / "fifo"
    os.mkfifo(path)
    yield str(path)


def rnnlm(*arguments: object, content: bytes = TEXT.encode()) -> subprocess.CompletedProcess[bytes]:
    """A command whose standard input, or the FIFO among its arguments, has this content and then ends."""
    for path in (Path(str(argument).partition("=")[2] or str(argument)) for argument in arguments):
        if path.is_fifo():
            threading.Thread(target=path.write_bytes, args=(content,), daemon=True).start()
    command = [sys.executable, "-m", "rnnlm", *map(str, arguments)]
    return subprocess.run(command, input=content, capture_output=True, timeout=120)


def figures(done: subprocess.CompletedProcess[bytes]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # A text that is read once has no baseline.
    others = ("text", "seconds", "tokens_per_second", "source", "baseline")
    return {key: found[key] for key in found if key not in others}


def test_eval_reads_a_pipe_once(runs: dict[str, Path], text: Path, pipe: str) -> None:
    table = text.with_name("t.tsv")
    wanted = figures(rnnlm("eval", runs["word"], text, "--json", "--per-token", table))
    rows = table.read_bytes()
    table.unlink()
    assert figures(rnnlm("eval", runs["word"], pipe, "--json", "--per-token", table)) == wanted
    assert table.read_bytes() == rows


def test_eval_reads_a_packed_pipe(runs: dict[str, Path], text: Path) -> None:
    found = rnnlm("eval", runs["char"], "-", "--json", content=gzip.compress(TEXT.encode()))
    assert figures(found) == figures(rnnlm("eval", runs["char"], text, "--json"))
    assert json.loads(found.stdout)["text"] == "standard input"


def test_gradients_and_gradcheck_read_a_pipe_once(runs: dict[str, Path], text: Path) -> None:
    wanted = figures(rnnlm("gradients", runs["word"], text, "--json"))
    assert figures(rnnlm("gradients", runs["word"], "-", "--json")) == wanted
    assert rnnlm("gradcheck", runs["word"], "-", "--numbers", 1).returncode == 0


def test_vocab_reads_a_pipe_once(config: Path, text: Path) -> None:
    for name, source in (("a", text), ("b", "/dev/stdin")):  # a - would be a list in YAML
        done = rnnlm("vocab", config, "--set", f"data.train={source}", "-o", text.with_name(name))
        assert done.returncode == 0, done.stderr
    assert text.with_name("a").read_bytes() == text.with_name("b").read_bytes()


@pytest.mark.parametrize("key", ["train", "valid", "test"])
def test_train_refuses_a_pipe_at_once(config: Path, key: str, tmp_path: Path) -> None:
    """Before it is opened: nobody writes into this one."""
    os.mkfifo(tmp_path / "fifo")
    command = [sys.executable, "-m", "rnnlm", "train", str(config), "--set", f"data.{key}={tmp_path}/fifo"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path}/fifo: not a file, so it can be read only once, and here it is")
    assert not (tmp_path / "run").exists()


def test_errors_of_a_pipe(runs: dict[str, Path]) -> None:
    for content, message in ((b"", "empty; give a text"), (b"abc\xff", "not UTF-8 at byte 4")):
        done = rnnlm("eval", runs["word"], "-", content=content)
        assert done.returncode == 2
        assert done.stderr.decode().startswith(f"error: standard input: {message}")
