"""Tokenizers by unit: words, characters or bytes.

A tokenizer is a module with the functions of `Tokenizer`; `TOKENIZERS` has them by the configuration's
``data.unit``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from rnnlm.text.joined import Joined, TextPath
from rnnlm.text.tokenizers import bytes, characters, words
from rnnlm.text.tokenizers.sequence import in_sequence
from rnnlm.text.tokenizers.tokens import LINE_END, UNKNOWN, Joiner, Piece, Tokenizer

__all__ = [
    "LINE_END",
    "TOKENIZERS",
    "UNKNOWN",
    "Joiner",
    "Piece",
    "Tokenizer",
    "join",
    "joiner",
    "line_end",
    "pieces",
    "split",
    "with_line_end",
]

TOKENIZERS: dict[str, Tokenizer] = {"word": words, "char": characters, "byte": bytes}


def line_end(unit: str) -> str:
    """The token that ends a line."""
    return TOKENIZERS[unit].line_end


def pieces(path: TextPath, unit: str, lowercase: bool) -> Iterator[Piece]:
    """The tokens of a text, some at a time, in order.

    Raises:
        TextError: the file cannot be read; not UTF-8 (words and characters); a literal ``</s>`` (words).
    """
    read = partial(TOKENIZERS[unit].pieces, lowercase=lowercase)
    return in_sequence(path, read, line_end(unit)) if isinstance(path, Joined) else read(path)


def split(text: str, unit: str, lowercase: bool, source: str = "text", line: int = 1) -> Sequence[str]:
    """The tokens of a string: as `pieces`, but a text of words that does not end a line gets no </s>.

    Args:
        source, line: the text's name and the number of its first line there, for messages.

    Raises:
        TextError: a literal ``</s>`` (words).
    """
    return TOKENIZERS[unit].split(text, lowercase, source, line)


def with_line_end(tokens: Sequence[str], unit: str) -> Sequence[str]:
    """The tokens of a string as a file of it would have them: the last line of a text of words ends too."""
    return TOKENIZERS[unit].with_line_end(tokens)


def join(tokens: Iterable[str], unit: str) -> str:
    """The text of some tokens: words with single spaces, a new line for each </s>."""
    made = joiner(unit)
    return "".join(map(made.add, tokens)) + made.rest()


def joiner(unit: str, after: str = "") -> Joiner:
    """`join`, a token at a time. `after`: the text before the first token."""
    return TOKENIZERS[unit].joiner(after)
