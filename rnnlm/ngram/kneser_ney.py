"""Interpolated modified Kneser-Ney smoothing (Chen & Goodman 1999).

As KenLM estimates it (Heafield et al. 2013). For the longest n-grams a(.) is how often one came, for shorter ones how
many different words came before it (how often it came, if ``<s>`` is its first word). With t_k the number of n-grams
of a length that have a(.) = k,

    Y = t_1 / (t_1 + 2 t_2)        D(k) = k - (k + 1) Y t_(k+1) / t_k   for k = 1, 2, 3;  D(k) = D(3) above
    p(w | h) = (a(h w) - D(a(h w))) / sum_x a(h x) + gamma(h) p(w | h without its first word)
    gamma(h) = sum over the x that came after h of D(a(h x)) / sum_x a(h x)

down to single words, whose p(w | h without ...) is 1 / |V|. Where a t_k is 0 or a D(k) is not between 0 and k (a text
of few words), D is 1/2, 1 and 3/2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.ngram.model import NGram, Order, with_begins

_FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])


class _Counted(NamedTuple):
    """The n-grams of one length."""

    keys: NDArray[np.int64]
    counts: NDArray[np.int64]  # how often each came
    context: NDArray[np.int64]  # each without its last word, among those one shorter
    shorter: NDArray[np.int64]  # each without its first word, likewise
    begins: NDArray[np.bool_]  # whether <s> is its first word


def estimate(ids: NDArray[np.integer], order: int, words: int, line_end: int) -> NGram:
    """The model of a text.

    Args:
        ids: of its tokens, lines one after the other. order: the longest n-grams. words: |V|.
    """
    counted = _count(ids, order, words, line_end)
    orders: list[Order] = []
    p = np.full(1, 1 / words)  # of no word at all
    for length, own in enumerate(counted, 1):
        a = own.counts
        if length < order:
            followed = np.bincount(counted[length].shorter, minlength=len(a))
            a = np.where(own.begins, a, followed)
        a = np.where(own.begins & (length == 1), 0, a)  # <s> is no word that comes
        discounts = _discounts(a)[np.minimum(a, 3)]
        context = own.context if length > 1 else np.zeros(len(a), np.int64)
        contexts = len(counted[length - 2].keys) if length > 1 else 1
        totals = np.bincount(context, a, contexts)
        left = np.bincount(context, discounts, contexts)
        with np.errstate(invalid="ignore", divide="ignore"):
            gamma = np.where(totals > 0, left / totals, 1.0)
        shorter = own.shorter if length > 1 else np.zeros(len(a), np.int64)
        p = (a - discounts) / totals[context] + gamma[context] * p[shorter]
        if length > 1:
            orders[-1] = Order(orders[-1].keys, orders[-1].log_probability, np.log(gamma))
        log_p = np.log(p)
        if length == 1:
            log_p[words] = -np.inf
        orders.append(Order(own.keys, log_p, np.zeros(len(a))))
    return NGram(orders, words, line_end)


def _count(ids: NDArray[np.integer], order: int, words: int, line_end: int) -> list[_Counted]:
    text, _ = with_begins(ids, words, line_end)
    begins = np.flatnonzero(text == words)
    # How far into its line each token is.
    inside = np.arange(len(text)) - np.repeat(begins, np.diff(np.append(begins, len(text))))
    every = np.arange(words + 1)
    none = np.empty(0, np.int64)
    found = [_Counted(every, np.bincount(text, minlength=words + 1), none, none, every == words)]
    indices = text
    for length in range(2, order + 1):
        places = np.flatnonzero(inside >= length - 1)
        keys = indices[places - 1] * (words + 1) + text[places]
        different, first, own, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        context, shorter = different // (words + 1), indices[places[first]]
        found.append(_Counted(different, counts, context, shorter, found[-1].begins[context]))
        indices = np.full(len(text), -1)
        indices[places] = own
    return found


def _discounts(a: NDArray[np.int64]) -> NDArray[np.float64]:
    """D(0) = 0, D(1), D(2), D(3)."""
    t = np.bincount(np.minimum(a, 5), minlength=6).astype(np.float64)
    if (t[1:5] == 0).any():
        return _FALLBACK
    k = np.arange(1, 4)
    found = k - (k + 1) * t[1] / (t[1] + 2 * t[2]) * t[2:5] / t[1:4]
    return np.array([0.0, *found]) if ((found > 0) & (found < k)).all() else _FALLBACK
