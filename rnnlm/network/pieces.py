"""Pieces of a text that the state is carried through, scored side by side.

One stream reads the recurrent weights anew for each token; several streams share each reading. So a stretch of the
text is cut into pieces, and these are scored twice:

    1. all pieces from the initial state, but the first one from the state that the text before it has left;
    2. each piece from the state in which pass 1 left the piece before it, until both passes' states are the same.

From there on pass 1 was right, and so was the state that it ended in. Two states s and s' are the same where

    |s_j - s'_j| <= 2 sqrt(D_h) eps max(1, |s_j|)    for all j

which is what rounding does to a sum of D_h products. A piece whose states stay different (the network remembers how
it began) ends the stretch: pass 2 began it rightly and so was right to its end, and the next stretch begins there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.network.initial_state import LineEndStates
from rnnlm.network.network import Network
from rnnlm.network.protocols import Array
from rnnlm.network.scored import Scored, ScoredWindow, score_windows
from rnnlm.text.corpus import Corpus
from rnnlm.text.streams import Streams

# More are hardly quicker, and pass 2 goes through the beginning of each.
_PIECES = 8
# Tokens of a piece: at first, and at most (scores of a stretch are held until they are known to be right).
_SHORTEST, _LONGEST = 1024, 16384
# A piece's length to that of its beginning that is scored twice.
_TO_BEGINNING = 16
# How much quicker the recurrent layers' products are in several streams, about.
_GAIN = 8


class _Stretch(NamedTuple):
    """What became of one stretch of the text."""

    windows: list[ScoredWindow]  # a stream a piece
    right: int  # so many of the pieces, from the first on
    steps: int | None  # of pass 2; None: the states of some piece stayed different
    states: list[Array]  # after the pieces that are right, 1 x S of each layer


def quicker(network: Network) -> bool:
    """Whether pieces are worth their second pass: where the recurrent layers take a good part of the time."""
    recurrent = sum(cell.multiplications(0, 1) for cell in network.cells)
    return _GAIN * recurrent >= network.output.multiplications()


def score_in_pieces(
    network: Network, corpus: Corpus, window: int | None = None, details: bool = False,
    line_ends: LineEndStates | None = None, pieces: int = _PIECES, shortest: int = _SHORTEST,
    state: str = "carry",
) -> Iterator[Scored]:  # fmt: skip
    """Every token of the text in its order.

    Args:
        window, details, line_ends: as for ``scoring.score``.
        pieces: at a time. shortest: tokens of a piece, at least; a shorter text is scored in one stream.
        state: "carry" or "document".
    """
    position, length, missed = 0, shortest, False
    states = network.initial_states(1)
    while (rest := len(corpus) - position) >= pieces * shortest:
        length = rest // (pieces * max(1, rest // (pieces * length)))
        starts = position + length * np.arange(pieces, dtype=np.int64)
        streams = Streams(corpus, starts, starts + length, state)
        stretch = _score_stretch(network, streams, states, window, details, line_ends)
        for piece in range(stretch.right):
            if line_ends is not None:
                for part in stretch.windows:
                    assert part.line_ends is not None
                    line_ends.add(part.line_ends, piece)
            yield Scored.joined([part.tokens[:, piece] for part in stretch.windows])
        position, states = int(starts[0]) + stretch.right * length, stretch.states
        if stretch.steps is not None:
            length = min(max(shortest, _TO_BEGINNING * stretch.steps), _LONGEST)
        elif missed:
            break
        else:  # longer ones, once
            shortest, length, missed = 2 * length, 4 * length, True
    if rest := len(corpus) - position:
        streams = Streams(corpus, np.array([position]), np.array([position + rest]), state)
        for part in score_windows(network, streams, states, window, details, line_ends):
            if line_ends is not None and part.line_ends is not None:
                line_ends.add(part.line_ends)
            yield part.tokens[:, 0]


def _score_stretch(
    network: Network, streams: Streams, states: list[Array], window: int | None, details: bool,
    line_ends: LineEndStates | None,
) -> _Stretch:  # fmt: skip
    """Both passes. states: before the stretch, 1 x S of each layer."""

    def windows(after: list[Array]) -> Iterator[ScoredWindow]:
        """From the states that the pieces before have left, pieces - 1 x S of each layer."""
        begin = [np.concatenate([own, others]) for own, others in zip(states, after, strict=True)]
        return score_windows(network, streams, begin, window, details, line_ends)

    found = list(windows(network.initial_states(streams.batch - 1)))
    same, steps = np.arange(streams.batch) == 0, 0
    for number, again in enumerate(windows([state[:-1] for state in found[-1].states])):
        same |= _same(network, found[number].states, again.states)
        found[number], steps = again, steps + len(again.valid)
        if same.all():
            break
    right = streams.batch if same.all() else int(same.argmin()) + 1
    left = [state[right - 1 : right] for state in found[-1].states]
    return _Stretch(found, right, steps if same.all() else None, left)


def _same(network: Network, one: list[Array], other: list[Array]) -> NDArray[np.bool_]:
    """Of each stream, whether its states (B x S of each layer) differ by no more than rounding, and its last tokens
    not at all."""
    same = np.ones(len(one[0]), np.bool_)
    if network.output.history:
        same &= (one[-1] == other[-1]).all(axis=1)
    for cell, s, t in zip(network.cells, one, other, strict=False):  # behind the layers' are the last tokens
        rounding = 2 * np.sqrt(cell.D_h) * np.finfo(s.dtype).eps
        same &= (np.abs(s - t) <= rounding * np.maximum(1, np.abs(s))).all(axis=1)
    return same
