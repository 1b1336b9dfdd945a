"""The vocabulary: what is kept, in which order, and its file."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading import build

from rnnlm.errors import TextError
from rnnlm.text import vocabulary
from rnnlm.text.vocabulary import Vocabulary

SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CHARACTERS = st.one_of(st.characters(codec="utf-8"), st.sampled_from(list(" \n\r\t\0\\nxuU\x85\u00a0\u2028\ufeff")))


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
    assert words.to_unk(ids).tolist() == [words.id("a"), words.unk, words.unk]


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
        (b"a\t1\n\xff\t2\n", r"vocab.txt: not UTF-8 at byte 5"),
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


@SETTINGS
@given(st.dictionaries(CHARACTERS, st.integers(1, 9), max_size=30), st.integers(1, 3), st.integers(2, 12))
def test_any_characters_read_back_to_the_same(
    tmp_path: Path, counts: dict[str, int], min_count: int, max_size: int
) -> None:
    built = vocabulary.select(Counter(counts), "char", False, min_count, max_size)
    assert len(built) <= max_size
    assert int(built.counts.sum()) == sum(counts.values())
    built.save(tmp_path / "vocab.txt")
    assert vocabulary.load(tmp_path / "vocab.txt", "char", False).hash() == built.hash()


@SETTINGS
@given(st.dictionaries(st.text(CHARACTERS, min_size=1), st.integers(1, 9), max_size=30))
def test_any_words_read_back_to_the_same(tmp_path: Path, texts: dict[str, int]) -> None:
    # A byte-order mark at the head of the file is no part of its first word.
    words = {word: count for text, count in texts.items() for word in text.split() if word[0] != "\ufeff"}
    built = vocabulary.select(Counter(words), "word", False, 1, None)
    built.save(tmp_path / "vocab.txt")
    found = vocabulary.load(tmp_path / "vocab.txt", "word", False)
    assert found.tokens == built.tokens
    assert found.hash() == built.hash()


def test_the_order_of_the_text_does_not_matter(tmp_path: Path) -> None:
    lines = [f"w{i % 7} w{i % 5} é{i % 3}\n" for i in range(60)]
    hashes = set()
    for seed in range(3):
        random.Random(seed).shuffle(lines)
        path = tmp_path / f"{seed}.txt"
        path.write_text("".join(lines), encoding="utf-8")
        hashes |= {(unit, build(path, unit).hash()) for unit in ("word", "char", "byte")}
    assert len(hashes) == 3


@pytest.mark.parametrize("digits", [19, 5000])
def test_a_count_too_large_to_hold(tmp_path: Path, digits: int) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text(f"a\t1\nb\t{'9' * digits}\n")
    with pytest.raises(TextError, match=r"vocab.txt:2: found 'b.*; a line is: token TAB count"):
        vocabulary.load(path, "word", False)


def test_a_byte_order_mark_is_no_part_of_the_first_token(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes("\ufeffthe\t5\r\na\t3\r\n".encode())
    assert vocabulary.load(path, "word", False).tokens == ("the", "a", "<unk>", "</s>")


def test_a_duplicate_is_found_however_it_is_spelled(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("A\t3\n\\x41\t1\n")
    with pytest.raises(TextError, match=r"vocab.txt:2: .* stands already on line 1; remove one of them"):
        vocabulary.load(path, "byte", False)
