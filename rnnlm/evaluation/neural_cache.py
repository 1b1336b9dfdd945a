"""The neural cache (Grave, Joulin & Usunier 2017): words that came in states like this one come again.

    p(w | h(t)) = sum_i [w = x(i)] exp(theta h(t) . h(i)) / sum_i exp(theta h(t) . h(i))     t - window <= i < t

h(i) is what the output layer read when x(i) was predicted. It costs no training, knows only tokens of the window, and
so is one predictor of a mixture (``evaluation.mixture``) beside the network itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.tuned import Cache
from rnnlm.network.network import Network, Window
from rnnlm.text.corpus import Corpus
from rnnlm.text.streams import line_streams
from rnnlm.work import Progress, Task

# Tokens that go through the network at a time; numbers that are looked at then, at most.
_TOGETHER, _NUMBERS = 512, 1 << 20


@dataclass
class CachePredictor:
    """As ``evaluation.mixture.Predictor``. The text is read in its order; the cache goes over line ends, whatever
    becomes of the network's state there."""

    network: Network
    settings: Cache

    name = "cache"

    @property
    def numbers(self) -> str:
        return f"window {self.settings.window}, theta {self.settings.theta:g}"

    def log_probabilities(self, text: Corpus, state: str) -> Task[NDArray[np.float64]]:
        (found,) = yield from cached(self.network, text, state, [self.settings])
        return found


def cached(network: Network, text: Corpus, state: str, several: Sequence[Cache]) -> Task[NDArray[np.float64]]:
    """log p of every token by caches with several settings, which look at the same states: settings x tokens."""
    streams = line_streams(text, 1, state)
    ids = text.ids(0, len(text))
    states = network.initial_states(1)
    longest = max(own.window for own in several)
    found = np.empty((len(several), len(text)))
    keys = np.empty((0, network.cells[-1].D_h), network.dtype)
    for start in range(0, len(text), _TOGETHER):
        stop = min(start + _TOGETHER, len(text))
        part = streams.window(start, stop)
        with network.lock:
            trace = network.forward(Window(part.inputs, part.reset, states))
            h = trace.up[:, 0].copy()
            states = network.states_after(trace, stop - start)
        keys = np.concatenate([keys[max(0, len(keys) - longest) :], h])
        found[:, start:stop] = _lookup(h, keys, ids[stop - len(keys) : stop], several)
        yield Progress("scoring by cache", stop, len(text), "tokens")
    return found


def _lookup(
    h: NDArray[np.floating], keys: NDArray[np.floating], tokens: NDArray[np.int32], several: Sequence[Cache]
) -> NDArray[np.float64]:
    """log p of the last len(h) of some tokens, whose states are `keys` (h the last of them): settings x len(h)."""
    found, before = np.empty((len(several), len(h))), len(keys) - len(h)
    rows = max(1, _NUMBERS // len(keys))
    there = np.arange(len(keys))[None, :]
    for first in range(0, len(h), rows):
        some = h[first : first + rows]
        here = before + first + np.arange(len(some))[:, None]
        likeness, same = (some @ keys.T).astype(np.float64), tokens[here] == tokens[None, :]
        for setting, row in zip(several, found, strict=True):
            seen = (there < here) & (there >= here - setting.window)
            scaled = np.where(seen, setting.theta * likeness, -np.inf)
            weights = np.exp(scaled - np.maximum(scaled.max(axis=1, keepdims=True), np.finfo(np.float64).min))
            own = np.where(same, weights, 0).sum(axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                row[first : first + rows] = np.where(own > 0, np.log(own / weights.sum(axis=1)), -np.inf)
    return found
