"""Property tests: encoding and decoding undo each other, however the text is cut into blocks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reading import build, characters, encode, tokens

from rnnlm.text import tokenizers

# What UTF-8 can hold, with plenty of what is difficult.
TEXT = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from(list(" \n\r\t\0é€😀\u00a0\u2028\ufeff<>/s\\"))),
    min_size=1,
)
# One for all examples: pytest's own folders are for a test, not for an example.
FOLDER = tempfile.TemporaryDirectory(prefix="rnnlm-test-")
SETTINGS = settings(max_examples=60, deadline=None)


def write(content: bytes, name: str = "text.txt") -> Path:
    path = Path(FOLDER.name) / name
    path.write_bytes(content)
    return path


def plain(text: str) -> str:
    """The text as words and characters are read: one kind of line end, no byte-order mark."""
    return text.replace("\r\n", "\n").removeprefix("\ufeff")


@SETTINGS
@given(st.binary(min_size=1))
def test_bytes(content: bytes) -> None:
    assume(not content.startswith(b"\x1f\x8b"))  # that is how gzip begins
    path = write(content)
    words = build(path, "byte")
    encoded = encode(path, words)
    ids = encoded.ids(0, len(encoded))
    assert "".join(words.tokens[i] for i in ids).encode("latin-1") == content
    assert encoded.counts.unknown == 0


@SETTINGS
@given(TEXT)
def test_characters(text: str) -> None:
    path = write(text.encode("utf-8"))
    if not plain(text):
        return
    words = build(path, "char")
    encoded = encode(path, words)
    assert words.decode(encoded.ids(0, len(encoded))) == plain(text)
    assert encoded.counts.characters == len(plain(text))


@SETTINGS
@given(TEXT)
def test_words(text: str) -> None:
    """White space is made uniform; lines stay as they were."""
    path = write(text.encode("utf-8"))
    if not plain(text):
        return
    words = build(path, "word")
    encoded = encode(path, words)
    lines = plain(text).split("\n")
    if lines[-1] == "":
        lines.pop()
    wanted = [token for line in lines for token in [*line.split(), "</s>"]]
    assert [words.tokens[i] for i in encoded.ids(0, len(encoded))] == wanted
    assert words.decode(encoded.ids(0, len(encoded))) == tokenizers.join(wanted, "word")
    assert characters(path, "word") == len(plain(text))


@SETTINGS
@given(st.lists(st.sampled_from(["a", "bc", "</s>", "é"]), max_size=12))
def test_words_joined_and_cut_again(words: list[str]) -> None:
    """A line end is joined as a newline, so that no literal </s> is there to be refused."""
    assert list(tokenizers.split(tokenizers.join(words, "word"), "word", False)) == words


@SETTINGS
@given(TEXT, st.sampled_from(["word", "char", "byte"]))
def test_a_text_streamed_token_by_token_is_the_text(text: str, unit: str) -> None:
    pieces = tokenizers.split(text, unit, False)
    joiner = tokenizers.joiner(unit)
    streamed = "".join(joiner.add(token) for token in pieces) + joiner.rest()
    assert streamed == tokenizers.join(pieces, unit)
    if unit != "word":
        assert streamed == (text if unit == "byte" else text.replace("\r\n", "\n"))


@SETTINGS
@given(TEXT, TEXT)
def test_what_is_not_in_the_vocabulary_is_unknown_and_nothing_else_is(known: str, other: str) -> None:
    assume("</s>" not in known + other)  # which no text of words may have
    first, second = write(known.encode("utf-8"), "known.txt"), write(other.encode("utf-8"), "other.txt")
    if not plain(known) or not plain(other):
        return
    for unit in ("word", "char"):
        words = build(first, unit)
        encoded = encode(second, words)
        found = np.flatnonzero(encoded.stored == len(words)).tolist()
        assert found == [i for i, token in enumerate(tokens(second, unit)) if token not in words.tokens]
        assert encoded.counts.unknown == len(found)
