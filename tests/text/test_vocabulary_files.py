"""The vocabulary: what is kept, in which order, and its file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from reading import build

from rnnlm.errors import TextError
from rnnlm.text import vocabulary
from rnnlm.text.vocabulary import Vocabulary


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vocab.txt"


def test_order_is_by_falling_count_then_by_code_points() -> None:
    found = vocabulary.select(Counter({"b": 2, "a": 2, "Z": 2, "c": 5, "</s>": 3}), "word", False, 1, None)
    assert found.tokens == ("c", "</s>", "Z", "a", "b", "<unk>")
    assert found.counts.tolist() == [5, 3, 2, 2, 2, 0]


def test_what_is_left_out_counts_as_unknown() -> None:
    counts = Counter({"a": 5, "b": 4, "c": 1, "d": 1, "</s>": 3, "<unk>": 2})
    rare = vocabulary.select(counts, "word", False, 2, None)
    assert dict(zip(rare.tokens, rare.counts.tolist(), strict=True)) == {"a": 5, "b": 4, "<unk>": 4, "</s>": 3}
    small = vocabulary.select(counts, "word", False, 1, 3)
    assert dict(zip(small.tokens, small.counts.tolist(), strict=True)) == {"<unk>": 8, "a": 5, "</s>": 3}
    assert vocabulary.select(counts, "word", False, 1, 2).tokens == ("<unk>", "</s>")
    assert int(small.counts.sum()) == sum(counts.values())


def test_an_unknown_token_and_a_literal_unk_are_two_things() -> None:
    words = vocabulary.select(Counter({"a": 1, "<unk>": 1, "</s>": 1}), "word", False, 1, None)
    ids = words.encode(["a", "<unk>", "strange"])
    assert ids.tolist() == [words.id("a"), words.unk, len(words)]
    assert words.known(ids).tolist() == [words.id("a"), words.unk, words.unk]


def test_bytes_are_all_there_and_never_unknown(path: Path) -> None:
    path.write_bytes(b"abba")
    found = build(path, "byte", max_size=3, min_count=2)
    assert len(found) == 256
    assert found.unk is None
    assert found.tokens[:3] == ("a", "b", "\x00")
    everything = bytes(range(256)).decode("latin-1")
    assert (found.encode(everything) < 256).all()


def test_lower_case(path: Path) -> None:
    path.write_text("Der DER der Élan\n", encoding="utf-8")
    assert build(path, "word", lowercase=True).tokens == ("der", "</s>", "élan", "<unk>")
    assert "É" not in build(path, "char", lowercase=True)
    lowered = build(path, "byte", lowercase=True)
    assert int(lowered.counts[lowered.id("D")]) == 0


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_the_file_reads_back_to_the_same(path: Path, unit: str) -> None:
    text = path.with_suffix(".text")
    text.write_text("a \\ b\\n \t\u00a0\u2028😀 \\u0041 <unk> x\x00y\x7f\n" * 2, encoding="utf-8")
    built = build(text, unit)
    built.save(path)
    found = vocabulary.load(path, unit, False)
    assert found.tokens == built.tokens
    np.testing.assert_array_equal(found.counts, built.counts)
    assert found.hash() == built.hash()
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        spelled, count = line.split("\t")
        assert spelled.split() == [spelled], "readable: no white space in a token"
        assert count.isdigit()


def test_a_duplicate_is_refused(path: Path) -> None:
    path.write_text("a\t3\nb\t2\n</s>\t2\na\t1\n")
    with pytest.raises(TextError, match=r"vocab.txt:4: 'a' stands already on line 1; remove one of them"):
        vocabulary.load(path, "word", False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"vocab.txt: empty"),
        (b"a\t1\nb 2\n", r"vocab.txt:2: found 'b 2'; a line is: token TAB count"),
        (b"a\tmany\n", r"vocab.txt:1: .*token TAB count"),
        (b"a\t-1\n", r"vocab.txt:1: .*token TAB count"),
        (b"two words\t1\n", r"vocab.txt:1: 'two words' is no single word"),
        (b"\t1\n", r"vocab.txt:1: '' is no single word"),
        (b"a\t1\n\xff\t2\n", r"vocab.txt: not UTF-8 at byte 4"),
    ],
)
def test_damaged_files(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(TextError, match=message):
        vocabulary.load(path, "word", False)


@pytest.mark.parametrize(
    ("unit", "line"), [("char", "ab\t1"), ("byte", "é€\t1"), ("char", "\\q\t1"), ("char", "\\u{}\t1")]
)
def test_tokens_of_another_unit(path: Path, unit: str, line: str) -> None:
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(
        TextError, match=f"vocab.txt:1: .* is no single {unit}; was this built with data.unit: {unit}"
    ):
        vocabulary.load(path, unit, False)


def test_the_special_tokens_are_added_where_they_are_missing(path: Path) -> None:
    path.write_bytes(b"a\t3\r\nb\t2\r\n")
    found = vocabulary.load(path, "word", False)
    assert found.tokens == ("a", "b", "<unk>", "</s>")
    assert found.tokens[found.line_end] == "</s>"


def test_the_hash_tells_units_and_lower_case_apart() -> None:
    tokens, counts = ("a", "\n", "</s>", "<unk>"), (1, 1, 1, 1)
    kinds = [(unit, lowercase) for unit in ("word", "char") for lowercase in (False, True)]
    hashes = {Vocabulary(tokens, counts, unit, lowercase).hash() for unit, lowercase in kinds}
    assert len(hashes) == 4
