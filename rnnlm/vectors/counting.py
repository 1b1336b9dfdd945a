"""Token counts and line numbers of a text, block by block, as it may exceed memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnlm.vectors.protocols import Corpus

BLOCK = 1_000_000
"""Tokens read at a time."""


def blocks(tokens: int, size: int = BLOCK) -> Iterator[tuple[int, int]]:
    """(start, stop) of each block, in order."""
    for start in range(0, tokens, size):
        yield start, min(start + size, tokens)


def token_counts(corpus: Corpus, words: int) -> np.ndarray:
    """Token counts of the text by id (`words` ids), int64.

    Counted here and not taken from the vocabulary, which may have been built from another text.
    """
    counts = np.zeros(words, np.int64)
    for start, stop in blocks(len(corpus)):
        counts += np.bincount(corpus.ids(start, stop), minlength=words)
    return counts


def line_blocks(corpus: Corpus, line_end: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of blocks that end at the first line end after `size` tokens, or a million tokens later."""
    start, step = 0, 4096
    while start < len(corpus):
        stop, limit = min(start + size, len(corpus)), min(start + size + BLOCK, len(corpus))
        ends = np.flatnonzero(corpus.ids(stop - 1, stop) == line_end)
        while not ends.size and stop < limit:
            seen = corpus.ids(stop, min(stop + step, limit))
            ends = np.flatnonzero(seen == line_end)
            stop += int(ends[0]) + 1 if ends.size else len(seen)
        yield start, stop
        start = stop


def longest_line(corpus: Corpus, line_end: int) -> int:
    """Tokens of the longest line, its line end counted."""
    longest, begun = 0, 0
    for start, stop in blocks(len(corpus)):
        ends = np.flatnonzero(corpus.ids(start, stop) == line_end) + start + 1
        if ends.size:
            longest = max(longest, int(np.diff([begun, *ends]).max()))
            begun = int(ends[-1])
    return max(longest, len(corpus) - begun)


def line_numbers(ids: np.ndarray, line_end: int) -> np.ndarray:
    """The line number of each token, int64, from 0; a line end stands on the line that it ends."""
    ends = ids == line_end
    return np.cumsum(ends) - ends
