"""One text cut into three."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_corpora import REAL_CORPORA

from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.corpora import prepare
from rnnlm.errors import TextError
from rnnlm.text import files
from rnnlm.work import run_to_end

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def configuration(folder: Path, unit: str, split: list[float], **sections: Any) -> Config:
    data = {"text": str(folder / "text.txt"), "unit": unit, "split": split}
    return config_file.validate({"data": data, "run": str(folder / "run"), **sections})


def cut(folder: Path, content: bytes, unit: str, split: list[float]) -> list[bytes | None]:
    (folder / "text.txt").write_bytes(content)
    found = run_to_end(prepare.texts(configuration(folder, unit, split)))
    return [path.read_bytes() if path else None for path in (found.train, found.valid, found.test)]


SHARES = st.sampled_from(
    [[0.9, 0.1], [0.9, 0.05, 0.05], [0.7, 0.2, 0.1], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [1.0, 0.0], [1 / 3] * 3]
)
TEXT = st.text(st.sampled_from(list("ab é😀\n\r\u2028")), min_size=1, max_size=80)


@SETTINGS
@given(TEXT, SHARES, st.sampled_from(["word", "char", "byte"]), st.integers(1, 9))
def test_the_parts_are_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, split: list[float], unit: str, block: int
) -> None:
    monkeypatch.setattr(files, "_BLOCK", block)
    whole = text.encode() if unit == "byte" else text.replace("\r\n", "\n")
    try:
        parts = cut(tmp_path, text.encode(), unit, split)
    except TextError:
        lines = whole.count("\n") if isinstance(whole, str) and unit == "word" else len(whole)
        assert lines < 25, "only where there is too little to share"
        return
    for part, share in zip(parts, [*split, 0.0], strict=False):
        assert (part is None) == (share == 0)
        assert part is None or len(part) > 0
    joined = b"".join(part for part in parts if part is not None)
    assert joined == (whole if isinstance(whole, bytes) else whole.encode())
    ends = [int(len(whole) * sum(split[: i + 1]) + 1e-9) for i in range(len(split) - 1)]
    position = 0
    for part, end in zip(parts, ends, strict=False):
        position += 0 if part is None else len(part if unit == "byte" else part.decode())
        if unit == "word":
            assert position >= end
            assert position == len(whole) or whole[position - 1] == "\n", "no line is cut"
            assert position == end or "\n" not in whole[max(end - 1, 0) : position - 1], "and none too many is taken"
        elif part is not None:
            assert position == (len(whole) if end >= len(whole) else end)


@pytest.mark.parametrize("size", [10, 11, 15, 99, 100, 101, 1234])
@pytest.mark.parametrize("unit", ["char", "byte"])
def test_nine_tenths_are_int_of_nine_tenths(tmp_path: Path, unit: str, size: int) -> None:
    content = random.Random(size).choices("ab\n" if unit == "byte" else "aé€😀\n", k=size)
    train, valid, test = cut(tmp_path, "".join(content).encode(), unit, [0.9, 0.1])
    assert train == "".join(content[: int(0.9 * size)]).encode()
    assert valid == "".join(content[int(0.9 * size) :]).encode()
    assert test is None


def test_tiny_shakespeare_is_cut_as_everyone_cuts_it(tmp_path: Path) -> None:
    path = REAL_CORPORA / "tinyshakespeare" / "input.txt"
    if not path.is_file():
        pytest.skip("Tiny Shakespeare is not on this machine")
    train, valid, _ = cut(tmp_path, path.read_bytes(), "char", [0.9, 0.1])
    assert train is not None
    assert valid is not None
    assert (len(train), len(valid)) == (1_003_854, 111_540)


def test_a_packed_text_is_cut_unpacked(tmp_path: Path) -> None:
    parts = cut(tmp_path, gzip.compress(b"a b\r\nc\r\nd\n\xc3\xa9\n"), "word", [0.5, 0.5])
    assert parts == [b"a b\nc\n", "d\né\n".encode(), None]


@pytest.mark.parametrize(
    ("content", "unit", "split", "message"),
    [
        (b"", "char", [0.9, 0.1], "text.txt: empty; give a text with at least one token"),
        (b"a", "char", [0.5, 0.5], "text.txt: data.split leaves nothing for train; give a longer text, or"),
        (b"abcdef", "byte", [0.9, 0.05, 0.05], "data.split leaves nothing for valid; give a longer text, or"),
        (b"one line " * 99, "word", [0.9, 0.1], "leaves nothing for valid; give a longer text or with more lines"),
        (b"abc\xff", "char", [0.5, 0.5], "text.txt: not UTF-8 at byte 4"),
    ],
)
def test_texts_that_cannot_be_cut(
    tmp_path: Path, content: bytes, unit: str, split: list[float], message: str
) -> None:
    with pytest.raises(TextError, match=message):
        cut(tmp_path, content, unit, split)
    assert not list(tmp_path.rglob("*.tmp"))
