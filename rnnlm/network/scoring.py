"""Scoring: the exact log-probability of every token of a text.

Validation, perplexity and surprisal are made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnlm.network.initial_state import LineEndStates
from rnnlm.network.network import Network, Window
from rnnlm.text.corpus import Corpus
from rnnlm.text.streams import Streams, line_streams

# Enough rows for a matrix product at full speed; the output layer cuts them into blocks itself.
_ROWS = 1024


@dataclass(frozen=True)
class Scored:
    """Some tokens of the text, in no particular order unless there is one stream. Natural logarithms.

    `position`: of each token in the text, from 0; `rank` and `entropy` (nats) only when asked for, else zeros.
    """

    position: NDArray[np.int64]
    log_probability: NDArray[np.float64]
    unknown: NDArray[np.bool_]
    rank: NDArray[np.int64]
    entropy: NDArray[np.float64]


def score(
    network: Network, corpus: Corpus, state: str, batch: int = 32, window: int | None = None, details: bool = False,
    line_ends: LineEndStates | None = None,
) -> Iterator[Scored]:  # fmt: skip
    """Every token of the text once, the first and the last included, whatever `batch` and `window` are.

    With state "carry" the hidden state goes through the whole text, so there is one stream whatever `batch` says; the
    output layer takes a whole window at once all the same. With "reset" lines are independent and up to `batch`
    streams of them run in parallel. `line_ends` adds up the states in which line ends are read.
    """
    return score_streams(network, line_streams(corpus, batch, state), window, details, line_ends)


def score_streams(
    network: Network, streams: Streams, window: int | None = None, details: bool = False,
    line_ends: LineEndStates | None = None,
) -> Iterator[Scored]:  # fmt: skip
    """Every token of some streams of a text, each of which begins as a text does."""
    corpus = streams.corpus
    window = window or max(1, _ROWS // streams.batch)
    states = network.initial_states(streams.batch)
    for start in range(0, streams.length, window):
        stop = min(start + window, streams.length)
        part = streams.window(start, stop)
        with network.lock:
            trace = network.forward(Window(part.inputs, part.reset, states))
            log_probability, rank, entropy = network.scores(trace, part.targets, details)
            if line_ends is not None:
                line_ends.add(trace, part.targets, part.valid)
            states = network.states_after(trace, stop - start)
        position = streams.starts[None, :] + np.arange(start, stop)[:, None]
        valid = part.valid
        unknown = np.asarray(corpus.stored[position[valid]] == len(corpus.vocabulary))
        yield Scored(position[valid], log_probability[valid], unknown, rank[valid], entropy[valid])


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
