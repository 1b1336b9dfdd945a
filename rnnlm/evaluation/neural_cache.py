"""The neural cache (Grave, Joulin & Usunier 2017): words that came in states like this one come again.

    p(w | h(t)) = sum_i [w = x(i)] exp(theta h(t) . h(i)) / sum_i exp(theta h(t) . h(i))     t - window <= i < t

h(i) is what the output layer read when x(i) was predicted. It costs no training, knows only tokens of the window, and
so is one predictor of a mixture (``evaluation.mixture``) beside the network itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnlm.network.network import Network, Window
from rnnlm.text.corpus import Corpus
from rnnlm.text.streams import line_streams
from rnnlm.work import Progress, Task

# Tokens that go through the network at a time; numbers that are looked at then, at most.
_TOGETHER, _NUMBERS = 512, 1 << 20


@dataclass
class CachePredictor:
    """As ``evaluation.mixture.Predictor``. The text is read in its order; the cache goes over line ends, whatever
    becomes of the network's state there.

    window: tokens that are remembered. theta: how much the likeness of states counts.
    """

    name: str
    network: Network
    window: int = 500
    theta: float = 0.3

    def log_probabilities(self, text: Corpus, state: str) -> Task[NDArray[np.float64]]:
        streams = line_streams(text, 1, "carry")
        ids = text.ids(0, len(text))
        states = self.network.initial_states(1)
        found = np.empty(len(text))
        keys = np.empty((0, self.network.cells[-1].D_h), self.network.dtype)
        for start in range(0, len(text), _TOGETHER):
            stop = min(start + _TOGETHER, len(text))
            part = streams.window(start, stop)
            reset = part.inputs == text.vocabulary.line_end if state == "reset" else part.reset
            with self.network.lock:
                trace = self.network.forward(Window(part.inputs, reset, states))
                h = trace.up[:, 0].copy()
                states = self.network.states_after(trace, stop - start)
            keys = np.concatenate([keys[max(0, len(keys) - self.window) :], h])
            found[start:stop] = self._lookup(h, keys, ids[stop - len(keys) : stop])
            yield Progress(f"scoring by {self.name}", stop, len(text), "tokens")
        return found

    def _lookup(
        self, h: NDArray[np.floating], keys: NDArray[np.floating], tokens: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """log p of the last len(h) of some tokens, whose states are `keys` (h the last of them)."""
        found, before = np.empty(len(h)), len(keys) - len(h)
        rows = max(1, _NUMBERS // len(keys))
        there = np.arange(len(keys))[None, :]
        for first in range(0, len(h), rows):
            some = h[first : first + rows]
            here = before + first + np.arange(len(some))[:, None]
            seen = (there < here) & (there >= here - self.window)
            likeness = np.where(seen, self.theta * (some @ keys.T).astype(np.float64), -np.inf)
            weights = np.exp(likeness - np.maximum(likeness.max(axis=1, keepdims=True), np.finfo(np.float64).min))
            own = np.where(tokens[here] == tokens[None, :], weights, 0).sum(axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                found[first : first + rows] = np.where(own > 0, np.log(own / weights.sum(axis=1)), -np.inf)
        return found
