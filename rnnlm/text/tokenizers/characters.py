"""Character tokenizer: Unicode code points, the newline included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnlm.config.encodings import UTF_8
from rnnlm.text import files
from rnnlm.text.tokenizers.tokens import Joiner, Piece

line_end = "\n"


def pieces(path: str | Path, lowercase: bool, encoding: str = UTF_8) -> Iterator[Piece]:
    """The characters of a file, some at a time, in order."""
    for text, done in files.characters(path, encoding):
        yield Piece(_lower(text) if lowercase else text, len(text), done)


def split(text: str, lowercase: bool, source: str, line: int = 1) -> Sequence[str]:
    """The characters of a string; CR LF is one newline."""
    text = text.replace("\r\n", "\n")
    return _lower(text) if lowercase else text


def bare(token: str) -> str:
    """The character itself."""
    return token


def joiner(after: str) -> Joiner:
    """A detokenizer: characters side by side. The text `after` before the first one changes nothing."""
    return _Joiner()


class _Joiner:
    def add(self, token: str) -> str:
        """The character."""
        return token

    def rest(self) -> str:
        """Nothing: every character is complete."""
        return ""


def _lower(text: str) -> str:
    """Lower case of each character by itself; `str.lower` looks around it at a capital sigma alone."""
    return text.replace("\N{GREEK CAPITAL LETTER SIGMA}", "\N{GREEK SMALL LETTER SIGMA}").lower()
