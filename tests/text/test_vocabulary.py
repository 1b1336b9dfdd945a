"""What vocabulary files may hold, beyond those that rnnlm writes in ordinary cases."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading import build

from rnnlm.errors import TextError
from rnnlm.text import vocabulary

SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CHARACTERS = st.one_of(st.characters(codec="utf-8"), st.sampled_from(list(" \n\r\t\0\\nxuU\x85\u00a0\u2028\ufeff")))


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
