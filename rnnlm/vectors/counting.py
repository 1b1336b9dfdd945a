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


def line_numbers(ids: np.ndarray, line_end: int) -> np.ndarray:
    """The line number of each token, int64, from 0; a line end stands on the line that it ends."""
    ends = ids == line_end
    return np.cumsum(ends) - ends
