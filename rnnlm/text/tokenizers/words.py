"""Word tokenizer: words between white space, and ``</s>`` at every line's end.

White space is what ``str.split`` takes for it.

A file's last line ends too, with or without a newline. A literal ``<unk>`` in a text is a word like any
other. A literal ``</s>`` is refused: it would end lines that do not end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import TextError
from rnnlm.text import files
from rnnlm.text.tokenizers.tokens import LINE_END, Joiner, Piece

line_end = LINE_END

_LITERAL = re.compile(r"</s>(?<!\S</s>)(?!\S)")
_LITERAL_IN_ANY_CASE = re.compile(r"</[sS]>(?<!\S</[sS]>)(?!\S)")
# Characters of a word; what is longer is no text, and would be read into memory whole.
LONGEST = 1 << 24


def pieces(path: str | Path, lowercase: bool, encoding: str = UTF_8) -> Iterator[Piece]:
    """The words of a file, some at a time, in order."""
    for piece in _words(files.characters(path, encoding), files.name(path), lowercase):
        # A word is whole here: what its last letter becomes may depend on that (Greek sigma).
        yield piece._replace(tokens=[word.lower() for word in piece.tokens]) if lowercase else piece


def split(text: str, lowercase: bool, source: str, line: int = 1) -> Sequence[str]:
    """The words of a string; the last line gets no ``</s>`` that it does not have."""
    text = text.replace("\r\n", "\n")
    _refuse_line_end(text, len(text), lowercase, source, line)
    return _mark_lines(text.lower() if lowercase else text).split()


def bare(token: str) -> str:
    """The word itself."""
    return token


def joiner(after: str) -> Joiner:
    """A detokenizer: single spaces between words, a new line for each ``</s>``.

    Args:
        after: the text before the first word; a word that comes after another word gets a space.
    """
    return _Joiner(after)


class _Joiner:
    def __init__(self, after: str) -> None:
        self._line_begins = after == "" or after[-1].isspace()

    def add(self, token: str) -> str:
        """The word, with the space before it."""
        if token == LINE_END:
            self._line_begins = True
            return "\n"
        space = "" if self._line_begins else " "
        self._line_begins = False
        return space + token

    def rest(self) -> str:
        """Nothing: every word is complete."""
        return ""


def _words(texts: Iterator[tuple[str, int]], source: str, lowercase: bool) -> Iterator[Piece]:
    # What has been read of the last word, which may go on in the next block: joined when white space comes.
    rest: list[str] = []
    ended, done, line = True, 0, 1
    for text, done in texts:
        count = len(text)
        if not text:
            continue
        ended = text.endswith("\n")
        if any(map(str.isspace, text[:1] + text[-1:])) or len(text.split(None, 1)) > 1:
            whole = "".join(rest) + text
            words = _mark_lines(whole).split()
            rest = [] if whole[-1].isspace() else [words.pop()]
            _refuse_line_end(whole, len(whole) - sum(map(len, rest)), lowercase, source, line)
            line += whole.count("\n")
        else:
            words = []
            rest.append(text)
        if sum(map(len, rest)) > LONGEST:
            raise TextError(
                f"{source}: more than {LONGEST:,} characters without white space ({rest[0][:20]!a}...); "
                "give a text in words, or take data.unit: char or byte"
            )
        yield Piece(words, count, done)
    if rest:
        whole = "".join(rest)
        _refuse_line_end(whole, len(whole), lowercase, source, line)
        ended = False
    if not ended:
        yield Piece(["".join(rest), LINE_END] if rest else [LINE_END], 0, done)


def _mark_lines(text: str) -> str:
    return text.replace("\n", f" {LINE_END} ")


def _refuse_line_end(text: str, end: int, lowercase: bool, source: str, line: int) -> None:
    """Refuse a literal ``</s>`` in text[:end], whose first line is number `line` of `source`.

    Raises:
        TextError: one is there.
    """
    found = (_LITERAL_IN_ANY_CASE if lowercase else _LITERAL).search(text, 0, end)
    if found:
        line += text.count("\n", 0, found.start())
        raise TextError(
            f"{source}:{line}: found the word {found[0]}, the line end's own (each line has one by itself); "
            "remove it, or spell it otherwise"
        )
