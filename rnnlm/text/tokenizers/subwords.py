"""Subword tokenizer: pieces of a model of sentencepiece or tokenizers, ``</s>`` at every line's end.

The model cuts each line by itself, whole, and puts its pieces together again; both libraries do that themselves.
The line end is ours, whatever the model has for one. A piece that stands for a part of the text and is spelled
``</s>`` or ``<unk>`` is refused. Of a model that has all bytes nothing is unknown, and there is no ``<unk>``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import InputError, TextError
from rnnlm.text import files
from rnnlm.text.tokenizers import words
from rnnlm.text.tokenizers.tokens import LINE_END, UNKNOWN, Joiner, Piece

_INCOMPLETE = "\ufffd"  # what a library puts where the bytes of a character are not all there


class Library(Protocol):
    """A model as its library reads it.

    pieces: those that a text may have, by their number in the model. is_complete: whether every text has pieces, so
    that nothing is unknown.
    """

    pieces: tuple[str, ...]
    is_complete: bool

    def cut(self, lines: Sequence[str]) -> list[list[str]]:
        """The pieces of each line; what the model has no piece for is there as the text has it."""

    def begins(self, line: str) -> list[int]:
        """The character of the line that each of its pieces begins at."""

    def joined(self, pieces: Sequence[str]) -> str:
        """The text of some pieces; U+FFFD for bytes that are no character."""


class Subwords:
    """The tokenizer of a model, with the functions of `Tokenizer`. Two of the same bytes are equal.

    Args:
        data: the model's file. name: where it is from, for messages.
    """

    line_end = LINE_END

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.is_json = data.lstrip()[:1] == b"{"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subwords) and other.sha256 == self.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __str__(self) -> str:
        return f"subwords {self.sha256}"

    def __reduce__(self) -> tuple[type[Subwords], tuple[bytes, str]]:
        """So that it can be pickled and copied: the library reads the model anew."""
        return Subwords, (self.data, self.name)

    @property
    def made_by(self) -> str:
        """The library that reads it."""
        return "tokenizers" if self.is_json else "sentencepiece"

    @cached_property
    def library(self) -> Library:
        """The model, read when it is needed first.

        Raises:
            InputError: the library is not installed; this is no model of it, or one that cannot be used.
        """
        from rnnlm.text.tokenizers.sentencepiece_model import SentencepieceModel
        from rnnlm.text.tokenizers.tokenizers_model import TokenizersModel

        read: Library = (
            TokenizersModel(self.data, self.name) if self.is_json else SentencepieceModel(self.data, self.name)
        )
        for token in (LINE_END, UNKNOWN):
            if token in read.pieces:
                meaning = "ends a line" if token == LINE_END else "stands for what is unknown"
                raise InputError(
                    f"{self.name}: its piece {token} stands for a part of the text, and here {token} {meaning}; "
                    "train a model without it, or make it a control symbol"
                )
        return read

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """All tokens: the pieces, ``<unk>`` where something may be unknown, ``</s>``."""
        return (*self.library.pieces, *(() if self.library.is_complete else (UNKNOWN,)), LINE_END)

    def pieces(self, path: str | Path, lowercase: bool, encoding: str = UTF_8) -> Iterator[Piece]:
        """The tokens of a file, some lines at a time, in order."""
        rest, done = "", 0
        for text, done in files.characters(path, encoding):
            *lines, rest = (rest + text).split("\n")
            if len(rest) > words.LONGEST:
                raise TextError(f"{files.name(path)}: a line of more than {words.LONGEST:,} characters")
            yield Piece(self._ended(lines, lowercase), len(text), done, words=_words(lines))
        if rest:
            yield Piece(self._ended([rest], lowercase), 0, done, words=_words([rest]))

    def split(self, text: str, lowercase: bool, source: str, line: int = 1) -> Sequence[str]:
        """The tokens of a string; the last line gets no ``</s>`` that it does not have."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise TextError(
                f"{source}:{line}: no Unicode at character {error.start + 1}; give Unicode text"
            ) from None
        *lines, last = text.replace("\r\n", "\n").split("\n")
        return self._ended(lines, lowercase) + self._cut([last], lowercase)[0]

    def begins(self, line: str, lowercase: bool) -> list[int]:
        """The character that each token of a line begins at; of a line in lower case where `lowercase`."""
        return self.library.begins(line.lower() if lowercase else line)

    def bare(self, token: str) -> str:
        """A token as a text has it, without marks; a byte that is no character as the model spells it."""
        text = self.library.joined([token]).strip() if token not in (LINE_END, UNKNOWN) else token
        return text if text and _INCOMPLETE not in text else token

    def joiner(self, after: str) -> Joiner:
        """A detokenizer whose first token goes on with the last line of the text `after`."""
        return _Joiner(self.library, self.split(after.rpartition("\n")[2], False, "text"))

    def _ended(self, lines: Sequence[str], lowercase: bool) -> list[str]:
        """The tokens of lines that all end."""
        found: list[str] = []
        for tokens in self._cut(lines, lowercase):
            found += tokens
            found.append(LINE_END)
        return found

    def _cut(self, lines: Sequence[str], lowercase: bool) -> list[list[str]]:
        cut = self.library.cut([line.lower() for line in lines] if lowercase else lines)
        if self.library.is_complete:
            return cut
        # What is unknown may be spelled as a token of ours.
        return [[_INCOMPLETE + t if t in (LINE_END, UNKNOWN) else t for t in tokens] for tokens in cut]


class _Joiner:
    """Detokenizer that asks the library for the text with and without the newest tokens.

    Args:
        before: tokens whose text is there already.
    """

    def __init__(self, library: Library, before: Sequence[str]) -> None:
        self._library = library
        self._tokens = list(before)  # those that were shown last, and those that were not
        self._shown = len(before)

    def add(self, token: str) -> str:
        """What this token adds to the text; "" for a byte whose character is not complete."""
        if token == LINE_END:
            return self.rest() + "\n"
        self._tokens.append(token)
        text, is_complete = self._new()
        if not is_complete:
            return ""
        del self._tokens[: self._shown]
        self._shown = len(self._tokens)
        return text

    def rest(self) -> str:
        """U+FFFD for a character that was never completed."""
        text, _ = self._new()
        self._tokens, self._shown = [], 0
        return text

    def _new(self) -> tuple[str, bool]:
        """The text that was not shown yet, and whether all its characters are complete."""
        text = self._library.joined(self._tokens)
        return text[len(self._library.joined(self._tokens[: self._shown])) :], not text.endswith(_INCOMPLETE)


def load(path: str | Path) -> Subwords:
    """Read a model's file.

    Raises:
        InputError: it cannot be read; its library is not installed; it is no model, or one that cannot be used.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror or error}; give a model of sentencepiece (.model) or of tokenizers "
            "(tokenizer.json)"
        ) from None
    found = Subwords(data, str(path))
    _ = found.tokens
    return found


def missing(package: str) -> InputError:
    """The error that a library is not installed."""
    return InputError(
        f"the package {package}, which this model of subwords needs, is not installed; install it: "
        "pip install '.[subword]' in a clone of rnnlm"
    )


def _words(lines: Sequence[str]) -> int:
    return sum(len(line.split()) for line in lines)
