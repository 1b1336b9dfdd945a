"""Word tokenizer with punctuation apart, by Unicode's word boundaries (UAX #29; package regex).

What stands between white space is cut at word boundaries (Davis, Unicode Standard Annex 29, section 4): "Hello," is
``Hello`` and a comma; don't, 3.14 and U.S stay whole. Where two tokens have no space between them, one bears the
joiner ￭ on that side: the one that is no word, so that words are the same whatever stands beside them.

    He said: "It's well-known."      He said ￭: "￭ It's well ￭-￭ known ￭. ￭"

The text comes back from its tokens, with single spaces for white space. A ￭ of the text's own is written ␛2 in a
token, and ␛ itself ␛1. ``<unk>`` between white space is one token; line ends are as in ``words``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import InputError
from rnnlm.text.tokenizers import words
from rnnlm.text.tokenizers.tokens import LINE_END, UNKNOWN, Joiner, Piece

line_end = LINE_END

JOINER = "￭"
_ESCAPE, _ESCAPED_ESCAPE, _ESCAPED_JOINER = "␛", "␛1", "␛2"
_SHORT = 64  # characters; longer words seldom come again, and are not kept


def pieces(path: str | Path, lowercase: bool, encoding: str = UTF_8) -> Iterator[Piece]:
    """The tokens of a file, some at a time, in order."""
    for piece in words.pieces(path, lowercase, encoding):
        yield piece._replace(tokens=_cut(piece.tokens))


def split(text: str, lowercase: bool, source: str, line: int = 1) -> Sequence[str]:
    """The tokens of a string; the last line gets no ``</s>`` that it does not have."""
    return _cut(words.split(text, lowercase, source, line))


def bare(token: str) -> str:
    """What a token is in the text: without joiners and escapes."""
    spelled = token.removeprefix(JOINER).removesuffix(JOINER)
    return spelled.replace(_ESCAPED_JOINER, JOINER).replace(_ESCAPED_ESCAPE, _ESCAPE)


def joiner(after: str) -> Joiner:
    """A detokenizer: spaces where no joiner is, a new line for each ``</s>``.

    Args:
        after: the text before the first token; a token that comes after another one gets a space.
    """
    return _Joiner(after)


class _Joiner:
    def __init__(self, after: str) -> None:
        self._joined = after == "" or after[-1].isspace()

    def add(self, token: str) -> str:
        """The token's text, with the space before it."""
        if token == LINE_END:
            self._joined = True
            return "\n"
        space = "" if self._joined or token.startswith(JOINER) else " "
        self._joined = token.endswith(JOINER)
        return space + bare(token)

    def rest(self) -> str:
        """Nothing: every token is complete."""
        return ""


def _cut(between_spaces: Iterable[str]) -> list[str]:
    boundaries = _boundaries()
    cut: list[str] = []
    for word in between_spaces:
        if word in (LINE_END, UNKNOWN):
            cut.append(word)
        else:
            cut += _tokens(word) if len(word) <= _SHORT else _marked(boundaries(word))
    return cut


@lru_cache(1 << 16)
def _tokens(word: str) -> list[str]:
    return _marked(_boundaries()(word))


def _marked(parts: Iterable[str]) -> list[str]:
    """The parts of a word as tokens, with joiners."""
    made: list[str] = []
    before_is_word = False
    for part in filter(None, parts):
        is_word = any(map(str.isalnum, part))
        token = part.replace(_ESCAPE, _ESCAPED_ESCAPE).replace(JOINER, _ESCAPED_JOINER)
        if made and is_word and not before_is_word:
            made[-1] += JOINER
        elif made:
            token = JOINER + token
        made.append(token)
        before_is_word = is_word
    return made


@cache
def _boundaries() -> Callable[[str], list[str]]:
    """The function that cuts a string at Unicode's word boundaries.

    Raises:
        InputError: the package regex is not installed.
    """
    try:
        import regex
    except ImportError:
        raise InputError(
            "the package regex, which data.tokenizer: unicode needs, is not installed; install it: "
            "pip install '.[unicode]' in a clone of rnnlm"
        ) from None
    cut: Callable[[str], list[str]] = regex.compile(r"\b", regex.VERSION1 | regex.WORD).split
    return cut
