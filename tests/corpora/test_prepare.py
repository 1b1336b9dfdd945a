"""One text cut into three; texts that are missing, too short or of another vocabulary."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
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
from rnnlm.work import Note

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def result(work: Iterator[Any]) -> tuple[Any, list[Any]]:
    """What the work returns, and its records."""
    records = []
    while True:
        try:
            records.append(next(work))
        except StopIteration as end:
            return end.value, records


def configuration(folder: Path, unit: str, split: list[float], **sections: Any) -> Config:
    data = {"text": str(folder / "text.txt"), "unit": unit, "split": split}
    return config_file.validate({"data": data, "run": str(folder / "run"), **sections})


def cut(folder: Path, content: bytes, unit: str, split: list[float]) -> list[bytes | None]:
    (folder / "text.txt").write_bytes(content)
    found, _ = result(prepare.texts(configuration(folder, unit, split)))
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
        (b"abc\xff", "char", [0.5, 0.5], "text.txt: not UTF-8 at byte 3"),
    ],
)
def test_texts_that_cannot_be_cut(
    tmp_path: Path, content: bytes, unit: str, split: list[float], message: str
) -> None:
    with pytest.raises(TextError, match=message):
        cut(tmp_path, content, unit, split)
    assert not list(tmp_path.rglob("*.tmp"))


def whole_way(folder: Path, train: str, valid: str, **sections: Any) -> tuple[Any, list[Any]]:
    for name, text in (("train", train), ("valid", valid)):
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    config = config_file.validate(
        {
            "data": {name: str(folder / f"{name}.txt") for name in ("train", "valid")},
            "run": str(folder / "run"),
            "train": {"batch": 2, "bptt": 3},
            **sections,
        }
    )

    def work() -> Iterator[Any]:
        texts = yield from prepare.texts(config)
        words = yield from prepare.build_vocabulary(config, texts.train)
        return (yield from prepare.encode(config, texts, words))  # type: ignore[misc]

    return result(work())


def test_a_text_shorter_than_one_window_of_the_batch(tmp_path: Path) -> None:
    found, _ = whole_way(tmp_path, "a b c d e\n", "a b\n")
    assert (len(found.train), len(found.valid), found.tokens) == (6, 3, 9)
    with pytest.raises(
        TextError,
        match=r"train.txt: 5 tokens, fewer than one window of the batch \(train.batch 2 x train.bptt 3 = 6\)",
    ):
        whole_way(tmp_path, "a b c d\n", "a b\n")


@pytest.mark.parametrize(("strange", "outcome"), [(0, "well"), (1, "well"), (2, "note"), (5, "note"), (6, "error")])
def test_a_vocabulary_that_covers_little(tmp_path: Path, strange: int, outcome: str) -> None:
    """Ten tokens with the line's end: up to one in ten unknown is well, up to half worth a word."""
    valid = " ".join(["x"] * strange + ["a"] * (9 - strange)) + "\n"
    if outcome == "error":
        with pytest.raises(
            TextError, match=r"valid.txt: 60% of its tokens are not in the vocabulary; is it the same"
        ):
            whole_way(tmp_path, "a b c d e\n", valid)
        return
    _, records = whole_way(tmp_path, "a b c d e\n", valid)
    notes = [record.text for record in records if isinstance(record, Note) and record.warning]
    assert len(notes) == (outcome == "note")


def test_the_vocabulary_is_of_the_training_text_alone(tmp_path: Path) -> None:
    found, _ = whole_way(tmp_path, "a a b b c c\n", "a b new\n")
    assert set(found.train.vocabulary.tokens) == {"a", "b", "c", "<unk>", "</s>"}
    assert found.valid.counts.unknown == 1


@pytest.mark.parametrize("name", ["train", "valid"])
def test_an_empty_text_is_found_before_anything_is_counted(tmp_path: Path, name: str) -> None:
    given_texts = {"train": "a b c d e\n", "valid": "a b\n", name: ""}
    with pytest.raises(TextError, match=f"{name}.txt: empty; give a text with at least one token"):
        whole_way(tmp_path, **given_texts)
    assert not (tmp_path / "run").exists()


def test_a_file_of_words_may_be_given(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("a\t9\nb\t5\n")
    found, _ = whole_way(tmp_path, "a b a b a c\n", "a b\n", vocab={"file": str(tmp_path / "vocab.txt")})
    assert found.train.vocabulary.tokens == ("a", "b", "<unk>", "</s>")
    assert found.train.counts.unknown == 1
