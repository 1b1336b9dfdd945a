"""Prompts: what samples begin with, as token ids; one of them, or a file with one a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.encodings import UTF_8, readable
from rnnlm.errors import InputError, TextError
from rnnlm.text import files
from rnnlm.text.lines import lines
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Note

_T = TypeVar("_T")

# Samples that are drawn together; more of them need more memory and are not quicker.
_TOGETHER = 64


class Prompt(NamedTuple):
    """What a sample begins with."""

    text: str
    ids: NDArray[np.int32]  # its tokens, without the line end that comes before them
    unknown: Note | None  # what is said of words out of the vocabulary


def encode(
    text: str, vocabulary: Vocabulary, where: str = "--prompt", line: int | None = None, any_bytes: bool = True
) -> Prompt:
    """The prompt of a text.

    Args:
        text: for a model of bytes any bytes, those that are no UTF-8 as surrogates (``errors="surrogateescape"``);
            they are shown as U+FFFD. where: the name of its option or file; line: its number in the file. any_bytes:
            false for what has to be text for a model of bytes too.

    Raises:
        InputError: it has surrogates that it may not have (a command line can hold any bytes).
        TextError: a literal </s>.
    """
    place = where if line is None else f"{where}:{line}"
    try:
        text.encode("utf-8", "surrogateescape" if any_bytes and vocabulary.unit == "byte" else "strict")
    except UnicodeEncodeError as error:
        raise InputError(f"{place}: not UTF-8 at character {error.start + 1}; give UTF-8 text") from None
    tokens = vocabulary.split(text, where, line or 1)
    note = vocabulary.unknown(tokens)
    if note is not None and line is not None:
        note = replace(note, text=f"{place}: {note.text}")
    return Prompt(readable(text), vocabulary.to_unk(vocabulary.encode(tokens)), note)


def read(path: str | Path, vocabulary: Vocabulary, encoding: str = UTF_8) -> list[Prompt]:
    """The prompts of a text file or a pipe, one a line. An empty line is the beginning of a text.

    Raises:
        TextError: the file cannot be read or is empty; a line is not in its encoding, or has a literal </s>.
    """
    where = files.name(path)
    found = [line for some in lines(path, vocabulary.unit, encoding) for line in some]
    if not found:
        raise TextError(f"{where}: empty; give a prompt a line")
    return [encode(line.text, vocabulary, where, line.number) for line in found]


def batches(prompts: Sequence[_T], samples: int) -> Iterator[tuple[Sequence[_T], range]]:
    """The prompts in their order, as many at a time as are sampled together, and which of their `samples`."""
    together = max(1, _TOGETHER // samples)
    for first in range(0, len(prompts), together):
        for begin in range(0, samples, _TOGETHER):
            yield prompts[first : first + together], range(begin, min(begin + _TOGETHER, samples))
