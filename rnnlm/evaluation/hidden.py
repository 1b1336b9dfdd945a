"""Hidden states of texts: h(t) of a recurrent layer after each token has been read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnlm.evaluation.many import side_by_side
from rnnlm.network.network import Network, Window
from rnnlm.network.protocols import Array
from rnnlm.text.vocabulary import Vocabulary

_ROWS = 1024  # of a window: enough for a matrix product at full speed


def hidden_states(
    network: Network, texts: Sequence[Sequence[str]], vocabulary: Vocabulary, state: str, layer: int
) -> list[Array]:
    """Of each text the states of one layer, T x D_h for its T tokens; the texts are computed side by side.

    Row t is h after token t has been read, counted from 0: the layer's output before layer normalisation, from which
    token t+1 is predicted. A text begins from the network's initial state and a line end, which has no row.

    Args:
        texts: their tokens, at least one each.
        state: "carry" or "reset"; under "reset" the row of a line end is the state in which each line begins, the
            line end having been read from the initial state.
        layer: 0 the lowest; -1 the top.
    """
    if not texts:
        return []
    D_h = network.cells[layer].D_h
    found = [np.empty((len(text), D_h), network.dtype) for text in texts]
    for numbers, streams in side_by_side(texts, vocabulary, state, past=1):
        states = network.initial_states(streams.batch)
        steps = max(1, _ROWS // streams.batch)
        for start in range(0, streams.length, steps):
            part = streams.window(start, min(start + steps, streams.length))
            with network.lock:
                trace = network.forward(Window(part.inputs, part.reset, states))
                h = trace.layers[layer].cell.h
                # The input of step t is token t-1.
                for b, number in enumerate(numbers):
                    first, last = max(start - 1, 0), min(start + len(h) - 1, len(found[number]))
                    if first < last:
                        found[number][first:last] = h[first + 1 - start : last + 1 - start, b]
                states = network.states_after(trace, len(h))
    return found
