"""Tokenizers: words between white space or with punctuation apart, subwords, characters, bytes.

A tokenizer is a module with the functions of `Tokenizer`. `find` has them by the configuration's ``data.unit``, and
of words by its ``data.tokenizer``. Of subwords it is an object, which has the model that cuts them (`Subwords`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from rnnlm.config.encodings import UTF_8
from rnnlm.text.joined import Joined, TextPath
from rnnlm.text.tokenizers import bytes, characters, unicode_words, words
from rnnlm.text.tokenizers.sequence import in_sequence
from rnnlm.text.tokenizers.subwords import Subwords
from rnnlm.text.tokenizers.tokens import LINE_END, UNKNOWN, WHITESPACE, Joiner, Piece, Tokenizer

__all__ = [
    "LINE_END",
    "TOKENIZERS",
    "UNKNOWN",
    "WHITESPACE",
    "WORD_TOKENIZERS",
    "Joiner",
    "Piece",
    "Subwords",
    "Tokenizer",
    "ends_lines",
    "find",
    "join",
    "joiner",
    "line_end",
    "pieces",
    "split",
    "with_line_end",
]

WORD_TOKENIZERS: dict[str, Tokenizer] = {WHITESPACE: words, "unicode": unicode_words}
TOKENIZERS: dict[str, Tokenizer] = {"word": words, "char": characters, "byte": bytes}


def find(unit: str, tokenizer: str | Subwords = WHITESPACE) -> Tokenizer:
    """The tokenizer of a unit. tokenizer: of words, a name in `WORD_TOKENIZERS`; of subwords, itself."""
    if isinstance(tokenizer, Subwords):
        return tokenizer
    return WORD_TOKENIZERS[tokenizer] if unit == "word" else TOKENIZERS[unit]


def ends_lines(unit: str) -> bool:
    """Whether every line of a text ends with ``</s>``, the last one too; else a newline is a token as any other."""
    return unit in ("word", "subword")


def line_end(unit: str) -> str:
    """The token that ends a line."""
    return LINE_END if ends_lines(unit) else "\n"


def pieces(
    path: TextPath, unit: str, lowercase: bool, tokenizer: str | Subwords = WHITESPACE, encoding: str = UTF_8
) -> Iterator[Piece]:
    """The tokens of a text, some at a time, in order.

    Args:
        encoding: of the file, a codec's name.

    Raises:
        InputError: an encoding of bytes; a package that the tokenizer needs is not installed.
        TextError: the file cannot be read; not in its encoding (all but bytes); a literal ``</s>`` (words).
    """
    read = partial(find(unit, tokenizer).pieces, lowercase=lowercase, encoding=encoding)
    return in_sequence(path, read, line_end(unit)) if isinstance(path, Joined) else read(path)


def split(
    text: str, unit: str, lowercase: bool, source: str = "text", line: int = 1,
    tokenizer: str | Subwords = WHITESPACE,
) -> Sequence[str]:  # fmt: skip
    """The tokens of a string: as `pieces`, but a text of words or subwords that does not end a line gets no </s>.

    Args:
        source, line: the text's name and the number of its first line there, for messages.

    Raises:
        TextError: a literal ``</s>`` (words); no Unicode (subwords).
    """
    return find(unit, tokenizer).split(text, lowercase, source, line)


def with_line_end(tokens: Sequence[str], text: str, unit: str) -> Sequence[str]:
    """The tokens of a string as a file of it would have them: the last line of words or subwords ends too, also where
    it is only white space."""
    return [*tokens, LINE_END] if ends_lines(unit) and not text.endswith("\n") else tokens


def join(tokens: Iterable[str], unit: str, tokenizer: str | Subwords = WHITESPACE) -> str:
    """The text of some tokens: words with single spaces, a new line for each </s>."""
    made = joiner(unit, tokenizer=tokenizer)
    return "".join(map(made.add, tokens)) + made.rest()


def joiner(unit: str, after: str = "", tokenizer: str | Subwords = WHITESPACE) -> Joiner:
    """`join`, a token at a time. `after`: the text before the first token."""
    return find(unit, tokenizer).joiner(after)
