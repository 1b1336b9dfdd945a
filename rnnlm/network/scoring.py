"""Scoring: the exact log-probability of every token of a text.

Validation, perplexity and surprisal are made of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rnnlm.network import pieces
from rnnlm.network.initial_state import LineEndStates
from rnnlm.network.network import Network
from rnnlm.network.scored import Scored, score_windows
from rnnlm.text.corpus import Corpus
from rnnlm.text.streams import Streams, line_streams


def score(
    network: Network, corpus: Corpus, state: str, batch: int = 32, window: int | None = None, details: bool = False,
    line_ends: LineEndStates | None = None,
) -> Iterator[Scored]:  # fmt: skip
    """Every token of the text once, the first and the last included, whatever `batch` and `window` are.

    With state "carry" or "document" the hidden state goes through the text, and the tokens come in its order; a long
    text is scored in several pieces at once (``network.pieces``) where that is quicker. With "reset" lines are
    independent and up to `batch` streams of them run in parallel. `line_ends` adds up the states in which line ends
    are read.
    """
    if state != "reset" and pieces.quicker(network):
        return pieces.score_in_pieces(network, corpus, window, details, line_ends, state=state)
    return score_streams(network, line_streams(corpus, batch, state), window, details, line_ends)


def score_streams(
    network: Network, streams: Streams, window: int | None = None, details: bool = False,
    line_ends: LineEndStates | None = None, skipped: NDArray[np.bool_] | None = None,
) -> Iterator[Scored]:  # fmt: skip
    """Every token of some streams of a text, each of which begins as a text does."""
    states = network.initial_states(streams.batch)
    for found in score_windows(network, streams, states, window, details, line_ends, skipped):
        if line_ends is not None and found.line_ends is not None:
            line_ends.add(found.line_ends)
        yield found.tokens[found.valid]


def mean_loss(network: Network, corpus: Corpus, state: str, line_ends: LineEndStates | None = None) -> float:
    """Nats a token over the whole text; `line_ends`: as for `score`."""
    parts = score(network, corpus, state, line_ends=line_ends)
    total = sum(float(part.log_probability.sum()) for part in parts)
    return -total / len(corpus)


def worse_than_even(what: str, perplexity: float, vocabulary: int) -> str | None:
    """What is said of a perplexity above that of guessing evenly, which is the size of the vocabulary; None below.

    Args:
        what: the perplexity's name, "validation perplexity".
    """
    if perplexity <= vocabulary:
        return None
    return (
        f"{what} {perplexity:.6g} is worse than guessing evenly among the {vocabulary:,} tokens of the vocabulary "
        f"({vocabulary:,}): the network has learnt nothing of such a text, or its training diverged"
    )
