"""The distribution over the next token, most probable first."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rnnlm.evaluation.records import NextToken
from rnnlm.network.network import Network, Window
from rnnlm.text.streams import resets
from rnnlm.text.vocabulary import Vocabulary


def next_tokens(
    network: Network, vocabulary: Vocabulary, ids: NDArray[np.int32], state: str, top: int | None = None
) -> list[NextToken]:
    """The `top` most probable tokens after the tokens `ids`, which begin as a text does; None: all tokens.

    Args:
        state: "carry" or "reset".
    """
    inputs = np.concatenate([[vocabulary.line_end], ids]).astype(np.int32)[:, None]
    reset = resets(inputs, vocabulary.line_end, state)
    with network.lock:
        trace = network.forward(Window(inputs, reset, network.initial_states(1)))
        log_y = network.log_distribution(trace)[0]
    order = np.argsort(-log_y, kind="stable")[:top]
    chosen = zip(order.tolist(), log_y[order].tolist(), strict=True)
    return [
        NextToken(rank, vocabulary.tokens[id], math.exp(nats), nats, -nats / math.log(2))
        for rank, (id, nats) in enumerate(chosen, 1)
    ]
