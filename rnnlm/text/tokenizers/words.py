"""Word tokenizer: words between white space, and ``</s>`` at every line's end.

White space is what ``str.split`` takes for it.

A file's last line ends too, with or without a newline. A literal ``<unk>`` in a text is a word like any
other; a literal ``</s>`` is the line end's own token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnlm.errors import TextError
from rnnlm.text import files
from rnnlm.text.tokenizers.tokens import LINE_END, Joiner, Piece

line_end = LINE_END

# Characters of a word; what is longer is no text, and would be read into memory whole.
LONGEST = 1 << 24


def pieces(path: str | Path, lowercase: bool) -> Iterator[Piece]:
    """The words of a file, some at a time, in order."""
    for piece in _words(files.characters(path), path):
        # A word is whole here: what its last letter becomes may depend on that (Greek sigma).
        yield piece._replace(tokens=[word.lower() for word in piece.tokens]) if lowercase else piece


def split(text: str, lowercase: bool) -> Sequence[str]:
    """The words of a string; the last line gets no ``</s>`` that it does not have."""
    text = text.replace("\r\n", "\n")
    return _mark_lines(text.lower() if lowercase else text).split()


def with_line_end(tokens: Sequence[str]) -> Sequence[str]:
    """The words of a string as a file of it would have them: the last line ends too."""
    return tokens if tokens and tokens[-1] == LINE_END else [*tokens, LINE_END]


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


def _words(texts: Iterator[tuple[str, int]], path: str | Path) -> Iterator[Piece]:
    # What has been read of the last word, which may go on in the next block: joined when white space comes.
    rest: list[str] = []
    ended, done = True, 0
    for text, done in texts:
        count = len(text)
        if not text:
            continue
        ended = text.endswith("\n")
        if any(map(str.isspace, text[:1] + text[-1:])) or len(text.split(None, 1)) > 1:
            words = _mark_lines("".join(rest) + text).split()
            rest = [] if text[-1].isspace() else [words.pop()]
        else:
            words = []
            rest.append(text)
        if sum(map(len, rest)) > LONGEST:
            raise TextError(
                f"{path}: more than {LONGEST:,} characters without white space ({rest[0][:20]!a}...); give a text in "
                "words, or take data.unit: char or byte"
            )
        yield Piece(words, count, done)
    if rest:
        ended = False
    if not ended:
        yield Piece(["".join(rest), LINE_END] if rest else [LINE_END], 0, done)


def _mark_lines(text: str) -> str:
    return text.replace("\n", f" {LINE_END} ")
