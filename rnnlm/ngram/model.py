"""A back-off n-gram model, and the log-probability that it gives each token of a text.

    log p(w | h) = that of the n-gram h w, where the model has it,
                   else log b(h) + log p(w | h without its first word)

Each line is a text of its own: ``<s>`` stands before it, and no n-gram goes over its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Order:
    """The n-grams of one length, sorted by `keys`: index of the n-gram without its last word among those one shorter,
    times |V| + 1, plus the last word. Of length 1 all words by their ids, and ``<s>``, whose id is |V|."""

    keys: NDArray[np.int64]
    log_probability: NDArray[np.float64]  # of the last word after the others; natural logarithm
    log_backoff: NDArray[np.float64]  # of the n-gram as a context; 0 where it is none


class NGram:
    """An n-gram model of |V| words.

    Args:
        orders: from length 1 on. words: |V|; line_end: the line end's id.
    """

    def __init__(self, orders: Sequence[Order], words: int, line_end: int) -> None:
        self.orders, self.words, self.line_end = list(orders), words, line_end

    def scores(self, ids: NDArray[np.integer]) -> NDArray[np.float64]:
        """log p of each token of a text, lines one after the other; natural logarithms."""
        text, places = with_begins(ids, self.words, self.line_end)
        lowest = self.orders[0]
        indices, found = text, lowest.log_probability[text]
        for shorter, order in zip(self.orders, self.orders[1:], strict=False):
            context = np.concatenate([[-1], indices[:-1]])
            backoff = np.where(context < 0, 0.0, shorter.log_backoff[context])
            indices = find(order.keys, context, text, self.words)
            found = np.where(indices < 0, backoff + found, order.log_probability[indices])
        return found[places]


def with_begins(ids: NDArray[np.integer], words: int, line_end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A text with ``<s>`` (the id |V|) before each line, and where its tokens are then."""
    begins = np.concatenate([[True], ids[:-1] == line_end])
    places = np.arange(len(ids)) + np.cumsum(begins)
    text = np.full(len(ids) + int(begins.sum()), words, np.int64)
    text[places] = ids
    return text, places


def find(
    keys: NDArray[np.int64], context: NDArray[np.int64], last: NDArray[np.int64], words: int
) -> NDArray[np.int64]:
    """The index of each n-gram, from that of its context (-1: none) and its last word; -1 where there is none."""
    if not len(keys):
        return np.full(len(last), -1)
    wanted = context * (words + 1) + last
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where((context >= 0) & (keys[place] == wanted), place, -1)
