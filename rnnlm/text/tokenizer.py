"""What a token is: a word, a character or a byte.

    word   what stands between white space (as str.split() sees it); every line ends in one </s>, the last one too
    char   a Unicode code point, newline included
    byte   one of 256 values, held as the character with that number (Latin-1)

A literal ``<unk>`` in a text of words is a word like any other; a literal ``</s>`` is the line end's own token.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rnnlm.text import files

UNKNOWN = "<unk>"
LINE_END = "</s>"


class Piece(NamedTuple):
    tokens: Sequence[str]  # a list of words, or a string whose characters are the tokens
    characters: int  # code points of the raw text that these tokens stand for
    done: int  # bytes of the file read so far


def line_end(unit: str) -> str:
    """The token that ends a line."""
    return LINE_END if unit == "word" else "\n"


def pieces(path: str | Path, unit: str, lowercase: bool) -> Iterator[Piece]:
    """The tokens of a file, some at a time, in order.

    Raises:
        TextError: the file cannot be read; not UTF-8 (words and characters).
    """
    if unit == "byte":
        for data, done in files.blocks(path):
            text = data.decode("latin-1")
            # Every byte but the continuations of UTF-8 begins a code point.
            count = len(data) - sum(data.count(byte) for byte in range(0x80, 0xC0))
            yield Piece(_lower_ascii(text) if lowercase else text, count, done)
        return
    if unit == "char":
        for text, done in files.characters(path):
            yield Piece(_lower_characters(text) if lowercase else text, len(text), done)
        return
    for piece in _words(files.characters(path)):
        # A word is whole here: what its last letter becomes may depend on that (Greek sigma).
        yield piece._replace(tokens=[word.lower() for word in piece.tokens]) if lowercase else piece


def split(text: str, unit: str, lowercase: bool) -> Sequence[str]:
    """The tokens of a string: as `pieces`, but a text of words that does not end a line gets no </s>."""
    if unit == "byte":
        raw = text.encode("utf-8").decode("latin-1")
        return _lower_ascii(raw) if lowercase else raw
    text = text.replace("\r\n", "\n")
    if unit == "char":
        return _lower_characters(text) if lowercase else text
    return _mark_lines(text.lower() if lowercase else text).split()


def with_line_end(tokens: Sequence[str], unit: str) -> Sequence[str]:
    """The tokens of a string as a file of it would have them: the last line of a text of words ends too."""
    if unit == "word" and (not tokens or tokens[-1] != LINE_END):
        return [*tokens, LINE_END]
    return tokens


def join(tokens: Iterable[str], unit: str) -> str:
    """The text of some tokens: words with single spaces, a new line for each </s>."""
    joiner = Joiner(unit)
    return "".join(map(joiner.add, tokens)) + joiner.rest()


class Joiner:
    """`join`, a token at a time, for text that is shown while it is made.

    Args:
        after: the text before the first token; a word that comes after other words gets a space.
    """

    def __init__(self, unit: str, after: str = "") -> None:
        self.unit = unit
        self._line_begins = after == "" or after[-1].isspace()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: str) -> str:
        """What this token adds to the text; "" for a byte whose character is not complete."""
        if self.unit == "byte":
            return self._decoder.decode(token.encode("latin-1"))
        if self.unit == "char":
            return token
        if token == LINE_END:
            self._line_begins = True
            return "\n"
        space = "" if self._line_begins else " "
        self._line_begins = False
        return space + token

    def rest(self) -> str:
        """What is left at the end: a character that was never completed."""
        return self._decoder.decode(b"", final=True)


def _words(texts: Iterator[tuple[str, int]]) -> Iterator[Piece]:
    rest, ended, done = "", True, 0
    for text, done in texts:
        count = len(text)
        text = rest + text
        if not text:
            continue
        ended = text.endswith("\n")
        words = _mark_lines(text).split()
        # The last word may go on in the next block.
        rest = "" if text[-1].isspace() else words.pop()
        yield Piece(words, count, done)
    if rest:
        ended = False
    if not ended:
        yield Piece([rest, LINE_END] if rest else [LINE_END], 0, done)


def _mark_lines(text: str) -> str:
    return text.replace("\n", f" {LINE_END} ")


def _lower_characters(text: str) -> str:
    """Lower case of each character by itself; `str.lower` looks around it at a capital sigma, and at no other."""
    return text.replace("\N{GREEK CAPITAL LETTER SIGMA}", "\N{GREEK SMALL LETTER SIGMA}").lower()


def _lower_ascii(text: str) -> str:
    """Lower case for bytes: only A to Z, since a byte above 127 is no letter by itself."""
    return text.translate({upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)})
