"""Scores of windows: what scoring in streams and in pieces have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.network.initial_state import LineEndStates, LineEndSums
from rnnlm.network.network import Network, Window
from rnnlm.network.protocols import Array
from rnnlm.text.streams import Streams

# Enough rows for a matrix product at full speed; the output layer cuts them into blocks itself.
_ROWS = 1024


@dataclass(frozen=True)
class Scored:
    """Some tokens of the text, in no particular order unless there is one stream. Natural logarithms.

    `position`: of each token in the text, from 0. `log_normalizer`: log Z, of an output layer that is
    `self_normalised`. Only when asked for, else zeros: `rank`; `entropy` (nats) of the
    prediction; `alternative`, the id of its most probable token, and the log-probability of that.
    """

    position: NDArray[np.int64]
    log_probability: NDArray[np.float64]
    unknown: NDArray[np.bool_]
    rank: NDArray[np.int64]
    entropy: NDArray[np.float64]
    alternative: NDArray[np.int64]
    alternative_log_probability: NDArray[np.float64]
    log_normalizer: NDArray[np.float64]

    def __getitem__(self, chosen: Any) -> Scored:
        """Some of the tokens, by anything that NumPy takes as an index."""
        return Scored(*(column[chosen] for column in self._columns()))

    @staticmethod
    def joined(parts: list[Scored]) -> Scored:
        """One after the other."""
        return Scored(*map(np.concatenate, zip(*(part._columns() for part in parts), strict=True)))

    def _columns(self) -> tuple[NDArray[Any], ...]:
        return tuple(getattr(self, field.name) for field in fields(self))


def in_order(parts: Iterable[Scored]) -> Scored:
    """All tokens in the text's order."""
    together = Scored.joined(list(parts))
    return together[np.argsort(together.position)]


class ScoredWindow(NamedTuple):
    """T steps of B streams."""

    tokens: Scored  # T x B
    valid: NDArray[np.bool_]  # T x B, false where a stream has ended
    states: list[Array]  # after it: B x S of each layer
    line_ends: LineEndSums | None


def score_windows(
    network: Network, streams: Streams, states: list[Array], window: int | None = None, details: bool = False,
    line_ends: LineEndStates | None = None, skipped: NDArray[np.bool_] | None = None,
) -> Iterator[ScoredWindow]:  # fmt: skip
    """The windows of some streams, one after the other.

    Args:
        states: before the first one, B x S of each layer. window: steps at a time.
        details: with all scores of ``protocols.Scores``. line_ends: with what it would add up.
        skipped: of each token of the corpus, whether its log-probability is not asked for: 0.
    """
    corpus = streams.corpus
    window = window or max(1, _ROWS // streams.batch)
    for start in range(0, streams.length, window):
        stop = min(start + window, streams.length)
        part = streams.window(start, stop)
        position = streams.starts[None, :] + np.arange(start, stop)[:, None]
        # A stream that has ended may stand behind the text's end.
        inside = np.minimum(position, len(corpus) - 1)
        chosen = part.valid if skipped is None else part.valid & ~skipped[inside]
        with network.lock:
            trace = network.forward(Window(part.inputs, part.reset, states))
            scores = network.scores(trace, part.targets, details, chosen)
            sums = None if line_ends is None else line_ends.sums(trace, part.targets, part.valid)
            states = network.states_after(trace, stop - start)
        unknown = corpus.stored[inside] == len(corpus.vocabulary)
        tokens = Scored(position, scores.log_probability, unknown, *scores[1:])
        yield ScoredWindow(tokens, part.valid, states, sums)
