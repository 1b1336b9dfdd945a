"""Lines of a text, as they come."""

from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path

import pytest

from rnnlm.errors import TextError
from rnnlm.text import lines as module
from rnnlm.text.lines import Line, lines


def read(path: Path, unit: str = "word") -> list[Line]:
    return [line for block in lines(path, unit) for line in block]


@pytest.mark.parametrize("packed", [False, True])
def test_lines_and_whether_they_end(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "t.txt"
    data = "\ufeffeins zwei\r\n\n drei \u2028vier\rfünf\nsechs".encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    wanted = [("eins zwei", True), ("", True), (" drei \u2028vier\rfünf", True), ("sechs", False)]
    for unit in ("word", "char"):
        assert read(path, unit) == [Line(i, *line) for i, line in enumerate(wanted, 1)]
    path.write_bytes(b"one\n")
    assert read(path) == [Line(1, "one", True)]


def test_bytes_are_kept_whatever_they_are(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\n\xff\xfe\xc3\xa9")
    found = read(path, "byte")
    assert [line.text.encode("utf-8", "surrogateescape") for line in found] == [
        b"\xef\xbb\xbfa\r",
        b"\xff\xfe\xc3\xa9",
    ]


def test_an_empty_line_of_a_pipe_comes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    answered = threading.Event()

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            file.write(b"\n")
            assert answered.wait(30)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    assert next(lines(path, "word")) == [Line(1, "", True)]
    answered.set()
    writer.join(30)


def test_a_text_of_nothing_but_a_mark_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"\xef\xbb\xbf")
    assert read(path) == []
    assert len(read(path, "byte")) == 1


def test_many_lines_come_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("".join(f"{i}\n" for i in range(5000)))
    blocks = list(lines(path, "word"))
    assert max(map(len, blocks)) == module._TOGETHER
    found = [line for block in blocks for line in block]
    assert [line.number for line in found] == list(range(1, 5001))
    assert [line.text for line in found] == [str(i) for i in range(5000)]


def test_a_line_of_a_pipe_comes_before_the_next_is_written(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    answered = threading.Event()

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            file.write(b"one two\nthr")
            assert answered.wait(30)
            file.write(b"ee\n")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    found = lines(path, "word")
    assert next(found) == [Line(1, "one two", True)]
    answered.set()
    assert list(found) == [[Line(2, "three", True)]]
    writer.join(30)


def test_what_is_no_text_is_refused_by_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"one\ntwo \xff\n")
    with pytest.raises(TextError, match=r"t.txt:2: not UTF-8 at byte 5 of the line \(0xff\)"):
        read(path)
    monkeypatch.setattr(module, "LONGEST", 10)
    path.write_bytes(b"one\ntwo two two two")
    with pytest.raises(TextError, match=r"t.txt:2: a line of more than 10 bytes"):
        read(path)
