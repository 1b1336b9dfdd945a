"""Parallel streams of an encoded text, and their windows.

Training and scoring walk a text by them.

A text begins as if a line had just ended: the input for its first token is the line end. So the input at
position i is token i - 1, and every token is predicted, the first one too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import TextError
from rnnlm.kernels.jit import jit
from rnnlm.text.corpus import Corpus


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


class Streams:
    """B stretches of a text, read in parallel.

    Args:
        starts, stops: token positions of each stretch.
        state: "reset": the state goes back to the initial state after every line end; "carry": never.
    """

    def __init__(self, corpus: Corpus, starts: NDArray[np.int64], stops: NDArray[np.int64], state: str) -> None:
        self.corpus = corpus
        self.starts = starts
        self.stops = stops
        self.batch = len(starts)
        self.length = int((stops - starts).max())
        self._resets = state == "reset"

    def window(self, start: int, stop: int) -> Window:
        """Steps [start, stop) of every stream; `stop` may be at most `length`."""
        shape = (stop - start, self.batch)
        inputs, targets = np.empty(shape, np.int32), np.empty(shape, np.int32)
        valid = np.empty(shape, np.bool_)
        vocabulary = self.corpus.vocabulary
        unk = -1 if vocabulary.unk is None else vocabulary.unk
        _fill(
            self.corpus.stored, self.starts, self.stops, start, len(vocabulary), unk, vocabulary.line_end,
            inputs, targets, valid,
        )  # fmt: skip
        reset = inputs == vocabulary.line_end if self._resets else np.zeros(shape, np.bool_)
        return Window(inputs, targets, reset, valid)


@jit
def _fill(stored, starts, stops, start, outside, unk, line_end, inputs, targets, valid):
    """Copy a window's tokens: targets, and as inputs the tokens before them; the unknown as <unk>."""
    steps, batch = inputs.shape
    for b in range(batch):
        before = line_end
        first = starts[b] + start
        if 0 < first < stops[b]:
            before = np.int64(stored[first - 1])
            before = unk if before == outside else before
        for t in range(steps):
            here = first + t < stops[b]
            token = np.int64(stored[first + t]) if here else line_end
            token = unk if token == outside else token
            inputs[t, b], targets[t, b], valid[t, b] = before, token, here
            before = token


def equal_streams(corpus: Corpus, batch: int, state: str) -> Streams:
    """Streams for training: `batch` stretches of equal length; at most batch - 1 tokens at the text's end
    are left over.

    Raises:
        TextError: the text has fewer than `batch` tokens.
    """
    length = len(corpus) // batch
    if length == 0:
        raise TextError(f"{corpus.source}: {len(corpus)} tokens, fewer than train.batch ({batch}); lower train.batch")
    starts = np.arange(batch, dtype=np.int64) * length
    return Streams(corpus, starts, starts + length, state)


def line_streams(corpus: Corpus, batch: int, state: str) -> Streams:
    """Streams for scoring: every token is in one stream.

    With state "reset" up to `batch` streams, each beginning where a line begins, so that no figure depends
    on the boundaries; with "carry" one stream, since each state depends on all before it.
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
