"""Dropout in all its places, by masks m with m_j = 0 with probability p, else 1 / (1 - p):

    input, between, output   x~ = m o x before, between and after the layers, never in the recurrence
                             (Srivastava et al. 2014; Zaremba et al. 2014). With `variational` a stream has one mask
                             for all steps of a window (Gal & Ghahramani 2016).
    words                    e~(t) = m_x e(t), one number for each word x of the vocabulary: where it is 0 the word is
                             missing throughout the window (Gal & Ghahramani 2016)
    recurrent                H~ = m o H, once a window: DropConnect (Wan et al. 2013; Merity et al. 2018)

The masks are not drawn from a stream of random numbers but computed from (seed, window, place, j) by a hash
(``kernels.random``). So they need no state in a checkpoint, no memory (backward computes them
again), and do not depend on the number of threads. Nor do they on how streams are shared out among processes: j
counts the numbers of the whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnlm.config.network import Model
from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.random import GAMMA, splitmix64
from rnnlm.network.share import Share

# Places of masks beside those of the layers, which are numbered from 0, the input.
_WORDS, _RECURRENT = 1000, 2000


def key(seed: int, window: int, place: int) -> np.uint64:
    """The key of the mask of one layer in one window of training, unlike all others."""
    mask = (1 << 64) - 1
    value = (seed * 0x9E3779B97F4A7C15 + window * 0xD1342543DE82EF95 + place * 0xA0761D6478BD642F + 1) & mask
    return np.uint64(value)


@dataclass(frozen=True)
class Masks:
    """All masks of one window of an update; every method multiplies in place, and does so again on the gradient."""

    settings: Model
    seed: int
    window: int
    threads: int
    share: Share | None = None  # of the batch's streams, where other processes have the others

    def numbers(self, x: np.ndarray, place: int, batch: int) -> None:
        """Dropout of a layer's output: place 0 is e(t), place l + 1 the h(t) of layer l. x: T B x D, or T x B x D."""
        p = self.rate(place)
        if p > 0:
            variational, D = self.settings.dropout.variational, x.shape[-1]
            period, stride, first = batch * D if variational else x.size, 0, 0
            if self.share is not None:
                period, first = batch * D, self.share.first * D
                stride = 0 if variational else self.share.batch * D
            apply(self.threads, x, key(self.seed, self.window, place), p, period, stride, first)

    def words(self, e: np.ndarray, tokens: np.ndarray) -> None:
        """Dropout of words. e: n x d, row i the embedding of tokens[i]."""
        if self.settings.dropout.words > 0:
            _apply_to_rows(e, tokens, key(self.seed, self.window, _WORDS), self.settings.dropout.words)

    def recurrent(self, weights: np.ndarray, layer: int, number: int) -> None:
        """DropConnect of a matrix that multiplies the state; number: which of its recurrent matrices, from 0."""
        if self.drops_recurrent:
            place = key(self.seed, self.window, _RECURRENT * (number + 1) + layer)
            apply(self.threads, weights, place, self.settings.dropout.recurrent, weights.size, 0, 0)

    def rate(self, place: int) -> float:
        """The rate at which `numbers` drops there."""
        return self.settings.dropout_rates[place]

    @property
    def drops_recurrent(self) -> bool:
        """Whether recurrent weights are dropped."""
        return self.settings.dropout.recurrent > 0


def masks(settings: Model, mask: tuple[int, int] | None, threads: int, share: Share | None = None) -> Masks | None:
    """The masks of `mask` = (seed, number of the window); None where nothing is dropped."""
    return Masks(settings, *mask, threads, share) if mask is not None and settings.drops else None


@parallel
def apply(thread, x, key, p, period, stride, first):
    """x := x~, in place. Backward is the same call with the same key on the gradient.

    Args:
        x: contiguous, any shape.
        period, stride, first: number i of x has the number (i // period) stride + first + i % period in the mask.
            With stride 0 the mask begins again after `period` numbers.
    """
    flat = x.reshape(x.size)
    keep = x.dtype.type(1.0 / (1.0 - p))
    threshold = np.uint64(p * 18446744073709551616.0)
    start, stop = partition(thread, flat.size, 16)
    base = splitmix64(key)
    while start < stop:
        place = start % period
        own = flat[start : min(stop, start + period - place)]
        place += start // period * stride + first
        for j in range(own.size):
            kept = splitmix64(base + np.uint64(place + j) * GAMMA) >= threshold
            own[j] = own[j] * keep if kept else own.dtype.type(0)
        start += own.size


@jit
def _apply_to_rows(e, tokens, key, p):
    keep = e.dtype.type(1.0 / (1.0 - p))
    threshold = np.uint64(p * 18446744073709551616.0)
    base = splitmix64(key)
    for i in range(tokens.size):
        row = e[i]
        factor = keep if splitmix64(base + np.uint64(tokens[i]) * GAMMA) >= threshold else e.dtype.type(0)
        for j in range(row.size):
            row[j] *= factor
