"""Special tokens, and the interface of the tokenizers' modules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

UNKNOWN = "<unk>"
LINE_END = "</s>"
# The tokenizer of words where nothing else is said.
WHITESPACE = "whitespace"


class Piece(NamedTuple):
    """Consecutive tokens of a file."""

    tokens: Sequence[str]  # a list of words, or a string whose characters are the tokens
    characters: int  # code points of the raw text that these tokens stand for
    done: int  # bytes of the file read so far
    part: int = 0  # of several files that are one text, the number of the file
    words: int = 0  # of subwords, how many words between white space these are


class Joiner(Protocol):
    """Detokenizer that takes one token at a time, for text that is shown while it is made."""

    def add(self, token: str) -> str:
        """What this token adds to the text; "" for a byte whose character is not complete."""

    def rest(self) -> str:
        """What is left at the end: the replacement for a character that was never completed."""


class Tokenizer(Protocol):
    """The functions of a tokenizer's module, or of `Subwords`. `lowercase`: lower-case the text."""

    @property
    def line_end(self) -> str:
        """The token that ends a line."""

    def pieces(self, path: str | Path, lowercase: bool, encoding: str = ...) -> Iterator[Piece]:
        """The tokens of a file, some at a time, in order. `encoding`: of the file, a codec's name.

        Raises:
            InputError: an encoding of bytes.
            TextError: the file cannot be read; not in its encoding (all but bytes); a literal special token (words).
        """

    def split(self, text: str, lowercase: bool, source: str, line: int = 1) -> Sequence[str]:
        """The tokens of a string; the last line gets no line end that it does not have. `source`: its name; `line`:
        the number of its first line there.

        Raises:
            TextError: a literal special token (words); no Unicode (subwords).
        """

    def bare(self, token: str) -> str:
        """A token as a text has it, without marks."""

    def joiner(self, after: str) -> Joiner:
        """A detokenizer whose first token comes after the text `after`."""
