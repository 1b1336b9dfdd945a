"""Log-probabilities of texts that have beginnings in common, each beginning read once.

The texts are a prefix tree. Each different prefix w(1) ... w(t) is one row of step t:

    state(w(1) ... w(t-1)) = cell(state(w(1) ... w(t-2)), w(t-1))      w(0): the line end, read in the initial state
    log p(w(1) ... w(t)) = log p(w(1) ... w(t-1)) + log y^_w(t)

so the network reads as many rows as there are prefixes, whatever the number of texts. A prefix's rows depend on its
own tokens alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.network.network import Network, Window
from rnnlm.text.vocabulary import Vocabulary


class Found(NamedTuple):
    """Of each text log p in nats and the tokens scored as <unk>; rows: that the network read."""

    log_probability: NDArray[np.float64]
    unknown: NDArray[np.int64]
    rows: int


def score_prefixes(network: Network, vocabulary: Vocabulary, texts: Sequence[NDArray[np.int32]]) -> Found:
    """Score some texts, each of which begins as a text does.

    Args:
        texts: token ids, at least one each; |V| stands for a token out of the vocabulary.
    """
    outside = len(vocabulary)
    lengths = np.array([len(text) for text in texts])
    together, begins = np.concatenate(texts).astype(np.int64), np.cumsum(lengths) - lengths
    log_probability, unknown = np.zeros(len(texts)), np.zeros(len(texts), np.int64)
    # Of each text that is not at its end: the row of its prefix in the step before.
    rows, going = np.zeros(len(texts), np.int64), np.arange(len(texts))
    # Of each row of the step before: its token and its sums; of each layer the state before the token is read.
    before, totals, unknowns = np.array([vocabulary.line_end], np.int32), np.zeros(1), np.zeros(1, np.int64)
    states, count = network.initial_states(1), 0
    for t in range(int(lengths.max())):
        keys, own = np.unique(rows[going] * (outside + 1) + together[begins[going] + t], return_inverse=True)
        parents, tokens = np.divmod(keys, outside + 1)
        totals, unknowns = totals[parents], unknowns[parents] + (tokens == outside)
        targets = vocabulary.to_unk(tokens)
        reset = np.zeros((1, len(keys)), np.bool_)
        window = Window(before[None, parents], reset, [state[parents] for state in states])
        with network.lock:
            trace = network.forward(window)
            totals = totals + network.scores(trace, targets[None]).log_probability[0]
            states = network.states_after(trace, 1)
        before, count = targets, count + len(keys)
        rows[going] = own
        ended = going[lengths[going] == t + 1]
        log_probability[ended], unknown[ended] = totals[rows[ended]], unknowns[rows[ended]]
        going = going[lengths[going] > t + 1]
    return Found(log_probability, unknown, count)
