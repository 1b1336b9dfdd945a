"""Tokens of several files that are read as one text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rnnlm.text import files
from rnnlm.text.joined import Joined
from rnnlm.text.tokenizers.tokens import Piece


def in_sequence(text: Joined, read: Callable[[Path], Iterator[Piece]], line_end: str) -> Iterator[Piece]:
    """The tokens of all files in their order, each file as often as its weight says; a line end between two of them
    where the first has none at its end.

    Args:
        read: the tokens of one file. line_end: the token that ends a line.
    """
    done, number, last = 0, 0, line_end
    for part_number, part in enumerate(text.parts):
        for _ in range(part.weight):
            if last != line_end:  # of characters or bytes, whose line end is one of them
                yield Piece(line_end, 0, done, number)
            number, last = part_number, line_end
            for piece in read(part.path):
                last = piece.tokens[-1] if len(piece.tokens) else last
                yield piece._replace(done=done + piece.done, part=number)
            done += files.size(part.path) or 0
