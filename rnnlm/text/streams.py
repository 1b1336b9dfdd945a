"""Parallel streams of an encoded text, and their windows.

Training and scoring walk a text by them.

A text begins as if a line had just ended: the input for its first token is the line end. So the input at
position i is token i - 1, and every token is predicted, the first one too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import TextError
from rnnlm.kernels.jit import jit
from rnnlm.text.corpus import Corpus

# Tokens that are searched for line ends at once.
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Window:
    """T steps of B streams; every array is T x B.

    inputs, targets: token ids; `inputs[t]` is the token before `targets[t]`.
    reset: where the state goes back to the initial state before the step.
    valid: the valid mask; false where a stream has ended and only pads the rectangle.
    """

    inputs: NDArray[np.int32]
    targets: NDArray[np.int32]
    reset: NDArray[np.bool_]
    valid: NDArray[np.bool_]


class LineOrder(NamedTuple):
    """The lines of a text in some order.

    begins: of each line, its first token in the text; at: its first position in this order, and behind the last line
    the number of tokens.
    """

    begins: NDArray[np.int64]
    at: NDArray[np.int64]


class ShuffledLines:
    """The lines of a text in an order that each epoch draws anew, from the seed and its number alone.

    What follows the last line end stays behind all lines.
    """

    def __init__(self, corpus: Corpus, seed: int) -> None:
        ends = [
            np.flatnonzero(corpus.stored[first : first + _BLOCK] == corpus.vocabulary.line_end) + first + 1
            for first in range(0, len(corpus), _BLOCK)
        ]
        self._edges = np.unique(np.concatenate([[0], *ends, [len(corpus)]]).astype(np.int64))
        self._ended = sum(map(len, ends))
        self._seed = seed

    def order(self, epoch: int) -> LineOrder:
        """The order of an epoch."""
        drawn = np.random.default_rng([self._seed, 5, epoch]).permutation(self._ended)
        lines = np.append(drawn, np.arange(self._ended, len(self._edges) - 1))
        return LineOrder(self._edges[lines], np.append(0, np.cumsum(np.diff(self._edges)[lines])))


class Streams:
    """B stretches of a text, read in parallel.

    Args:
        starts, stops: token positions of each stretch.
        state: "reset": the state goes back to the initial state after every line end; "document": after every blank
            line; "carry": never.
        shuffled: the lines, in whose order of each epoch the positions count; None: in the text's own.
    """

    def __init__(
        self, corpus: Corpus, starts: NDArray[np.int64], stops: NDArray[np.int64], state: str,
        shuffled: ShuffledLines | None = None,
    ) -> None:  # fmt: skip
        self.corpus = corpus
        self.starts = starts
        self.stops = stops
        self.batch = len(starts)
        self.length = int((stops - starts).max())
        self._state, self._shuffled, self._epoch = state, shuffled, -1
        self._order = LineOrder(np.zeros(1, np.int64), np.array([0, len(corpus)], np.int64))
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int) -> None:
        """Take the order of the lines of this epoch, where each has its own."""
        if self._shuffled is not None and epoch != self._epoch:
            self._order, self._epoch = self._shuffled.order(epoch), epoch

    def part(self, streams: slice) -> Streams:
        """Some of the streams."""
        return Streams(self.corpus, self.starts[streams], self.stops[streams], self._state, self._shuffled)

    def window(self, start: int, stop: int) -> Window:
        """Steps [start, stop) of every stream; `stop` may be at most `length`."""
        shape = (stop - start, self.batch)
        inputs, targets = np.empty(shape, np.int32), np.empty(shape, np.int32)
        valid = np.empty(shape, np.bool_)
        vocabulary = self.corpus.vocabulary
        special = _Special(len(vocabulary), -1 if vocabulary.unk is None else vocabulary.unk, vocabulary.line_end)
        _fill(self.corpus.stored, self._order, special, self.starts, self.stops, start, inputs, targets, valid)
        before = None
        if self._state == "document":
            place = self.starts + start - 2  # a stream that has ended may stand behind the text's end
            inside = np.clip(place, 0, len(self.corpus) - 1)
            before = np.where(place < 0, vocabulary.line_end, self.corpus.stored[inside])
        return Window(inputs, targets, resets(inputs, vocabulary.line_end, self._state, before), valid)


def resets(
    inputs: NDArray[np.int32], line_end: int, state: str, before: NDArray[np.integer] | None = None
) -> NDArray[np.bool_]:
    """Where the state goes back to the initial state before a step, T x B, as `Streams` says of each `state`.

    Args:
        inputs: T x B tokens. before: the B tokens before them; None: the inputs begin a text, as if a line had just
            ended.
    """
    ends = inputs == line_end
    if state == "document":
        first = ends[:1] if before is None else ends[:1] & (before == line_end)
        return np.concatenate([first, ends[1:] & ends[:-1]])
    return ends if state == "reset" else np.zeros(inputs.shape, np.bool_)


class _Special(NamedTuple):
    """Ids of a vocabulary. outside: |V|, a token out of it; unk: what stands for that, -1 where there is none."""

    outside: int
    unk: int
    line_end: int


@jit
def _fill(stored, order, special, starts, stops, start, inputs, targets, valid):
    """Copy a window's tokens: targets, and as inputs the tokens before them; the unknown as <unk>."""
    steps, batch = inputs.shape
    for b in range(batch):
        before, line = special.line_end, 0
        first = starts[b] + start
        if first < stops[b]:
            line = np.searchsorted(order.at, first, side="right") - 1
            if first > order.at[line]:  # else a line has just ended
                before = np.int64(stored[order.begins[line] + first - 1 - order.at[line]])
                before = special.unk if before == special.outside else before
        for t in range(steps):
            place = first + t
            here = place < stops[b]
            token = special.line_end
            if here:
                while place >= order.at[line + 1]:
                    line += 1
                token = np.int64(stored[order.begins[line] + place - order.at[line]])
                token = special.unk if token == special.outside else token
            inputs[t, b], targets[t, b], valid[t, b] = before, token, here
            before = token


def equal_streams(corpus: Corpus, batch: int, state: str, shuffled: ShuffledLines | None = None) -> Streams:
    """Streams for training: `batch` stretches of equal length; at most batch - 1 tokens at the text's end (of its
    shuffled lines, where they are) are left over.

    Raises:
        TextError: the text has fewer than `batch` tokens.
    """
    length = len(corpus) // batch
    if length == 0:
        raise TextError(f"{corpus.source}: {len(corpus)} tokens, fewer than train.batch ({batch}); lower train.batch")
    starts = np.arange(batch, dtype=np.int64) * length
    return Streams(corpus, starts, starts + length, state, shuffled)


def line_streams(corpus: Corpus, batch: int, state: str) -> Streams:
    """Streams for scoring: every token is in one stream.

    With state "reset" up to `batch` streams, each beginning where a line begins, so that no figure depends
    on the boundaries; else one stream, since each state depends on those before it.
    """
    total = len(corpus)
    boundaries = [0]
    if state == "reset":
        for b in range(1, batch):
            boundary = next_line(corpus, max(boundaries[-1] + 1, total * b // batch))
            if boundary >= total:
                break
            boundaries.append(boundary)
    starts = np.array(boundaries, np.int64)
    return Streams(corpus, starts, np.array([*boundaries[1:], total], np.int64), state)


def next_line(corpus: Corpus, position: int) -> int:
    """The first position at or after `position` that begins a line."""
    step = 4096
    position -= 1
    while position < len(corpus):
        found = np.flatnonzero(corpus.stored[position : position + step] == corpus.vocabulary.line_end)
        if found.size:
            return position + int(found[0]) + 1
        position += step
    return len(corpus)
