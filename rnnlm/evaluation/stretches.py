"""Scores of a text in its own order, a stretch of it at a time; ranks may share each stretch out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from numpy.typing import NDArray

from rnnlm.errors import InputError
from rnnlm.network.network import Network
from rnnlm.network.scored import Scored, in_order
from rnnlm.network.scoring import score
from rnnlm.ranks.ranks import Ranks
from rnnlm.ranks.sharing import Workers
from rnnlm.text.corpus import Corpus
from rnnlm.text.streams import line_streams, next_line

# Tokens of each rank that are scored at a time under "reset": enough for many streams of lines.
_STRETCH = 1 << 16


class _Lines(NamedTuple):
    """Some lines of a text. start: their first token's position in it; stored: their ids, as the corpus has them."""

    start: int
    stored: NDArray[Any]


def check_state(state: str, ranks: Ranks | None) -> None:
    """Check that ranks can share out a text.

    Raises:
        InputError: its lines do not begin anew.
    """
    if ranks is not None and state != "reset":
        raise InputError(
            f"state {state}: a line begins in the state that the one before has left, so {ranks.size} ranks cannot "
            "share the lines out; give --state reset, or leave mpiexec out"
        )


def score_in_order(
    network: Network, corpus: Corpus, state: str, details: bool = False, ranks: Ranks | None = None
) -> Iterator[Scored]:
    """Every token of a text once, in its order.

    Under "reset" lines run in many streams, and are put back into their order; else there is one stream.

    Args:
        state: "carry", "document" or "reset"; with ranks "reset".
        details: with all scores of ``network.protocols.Scores``.
    """
    if state != "reset":
        yield from score(network, corpus, state, batch=1, details=details)
        return
    workers = Workers(partial(_scored, network, corpus.part(0, 0), details), ranks)
    stretch, start = _STRETCH * workers.count, 0
    while start < len(corpus):
        stop = next_line(corpus, min(start + stretch, len(corpus)))
        lines = corpus.part(start, stop)
        if stop - start > 2 * stretch:  # a long line: one stream, which is in order, and not held in memory
            yield from (_moved(part, start) for part in score(network, lines, state, batch=1, details=details))
        else:
            streams = line_streams(lines, workers.count, state)
            bounds = zip(streams.starts.tolist(), streams.stops.tolist(), strict=True)
            yield from workers.results([_Lines(start + a, lines.stored[a:b]) for a, b in bounds])
        start = stop


def _scored(network: Network, text: Corpus, details: bool, lines: _Lines) -> Scored:
    """Lines of a text in their order. text: the text that they are of, perhaps without its ids."""
    own = Corpus(lines.stored, text.counts, text.vocabulary, text.source)
    return _moved(in_order(score(network, own, "reset", details=details)), lines.start)


def _moved(part: Scored, start: int) -> Scored:
    """Scores of a part of a text that begins there."""
    return replace(part, position=part.position + start)
