"""Byte tokenizer: 256 values, each held as the character with that number (Latin-1)."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import InputError
from rnnlm.text import files
from rnnlm.text.tokenizers.tokens import Joiner, Piece

line_end = "\n"


def pieces(path: str | Path, lowercase: bool, encoding: str = UTF_8) -> Iterator[Piece]:
    """The bytes of a file, some at a time, in order."""
    check_encoding(encoding)
    for data, done in files.blocks(path):
        text = data.decode("latin-1")
        # Every byte but the continuations of UTF-8 begins a code point.
        count = len(data) - sum(data.count(byte) for byte in range(0x80, 0xC0))
        yield Piece(_lower(text) if lowercase else text, count, done)


def split(text: str, lowercase: bool, source: str, line: int = 1) -> Sequence[str]:
    """The bytes of a string in UTF-8; a surrogate of ``errors="surrogateescape"`` is the byte that it stands for."""
    raw = text.encode("utf-8", "surrogateescape").decode("latin-1")
    return _lower(raw) if lowercase else raw


def bare(token: str) -> str:
    """The byte itself."""
    return token


def joiner(after: str) -> Joiner:
    """An incremental UTF-8 decoder; what is no UTF-8 becomes U+FFFD. The text `after` before the first byte
    changes nothing."""
    return _Joiner()


def check_encoding(encoding: str) -> None:
    """Check that nobody says how bytes are to be decoded.

    Raises:
        InputError: somebody does.
    """
    if encoding != UTF_8:
        raise InputError("--encoding: a model of bytes reads a text as it is; leave it out")


class _Joiner:
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: str) -> str:
        """The characters that this byte completes; "" where it completes none."""
        return self._decoder.decode(token.encode("latin-1"))

    def rest(self) -> str:
        """U+FFFD for a character that was never completed."""
        return self._decoder.decode(b"", final=True)


def _lower(text: str) -> str:
    """Lower case for bytes: only A to Z, since a byte above 127 is no letter by itself."""
    return text.translate({upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)})
