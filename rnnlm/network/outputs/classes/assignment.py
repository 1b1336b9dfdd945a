"""The class of each token: chosen by frequency, and as the tables that the layer reads."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import InputError
from rnnlm.network.protocols import Arrays


def choose(V: int) -> int:
    """The square root of |V|: a token reads as many classes then as a class has tokens in the mean."""
    return max(1, round(math.sqrt(V)))


def check(classes: int, V: int) -> None:
    """Whether each class can have a token.

    Raises:
        InputError: no.
    """
    if classes > V:
        raise InputError(
            f"model.output.classes: found {classes:,}; the vocabulary has {V:,} tokens, and a class needs one"
        )


def by_frequency(counts: NDArray[np.int64], classes: int) -> NDArray[np.int32]:
    """Class of each token (|V|): tokens by falling count, cut into classes with equal sums of the square roots of the
    counts (Mikolov's rnnlm 0.4). Each class has a token, whatever the counts."""
    V, order = len(counts), np.argsort(-counts, kind="stable")
    roots = np.sqrt(counts[order].astype(np.float64))
    cumulated = (roots if roots.any() else np.ones(V)).cumsum()
    wanted = cumulated[-1] * np.arange(1, classes + 1) / classes
    # The token with which the sum rises above class k's share is its last one.
    bounds = np.minimum(np.searchsorted(cumulated, wanted, side="right") + 1, V)
    stop = 0
    for k in range(classes):
        stop = bounds[k] = min(max(stop + 1, bounds[k]), V - (classes - 1 - k))
    bounds[-1] = V
    made = np.empty(V, np.int32)
    made[order] = np.repeat(np.arange(classes, dtype=np.int32), np.diff(bounds, prepend=0))
    return made


def tables(own: NDArray[np.int32], classes: int) -> Arrays:
    """What the layer reads of the class of each token (|V|).

    Returns:
        class: |V|, of each token; place: |V|, its place in its class; members: |V|, the tokens class by class;
        bounds: C + 1, class k has the members bounds[k] ... bounds[k + 1].
    """
    members = np.argsort(own, kind="stable").astype(np.int32)
    bounds = np.searchsorted(own[members], np.arange(classes + 1))
    place = np.empty(len(own), np.int32)
    place[members] = np.arange(len(own)) - bounds[own[members]]
    return {"class": own, "place": place, "members": members, "bounds": bounds}


def multiplied(V: int, classes: int) -> float:
    """Tokens of the class of a token, in the mean over tokens by Zipf's law (the i-th most frequent of |V| has a
    probability in proportion to 1/i), with classes by frequency."""
    probability = 1 / np.arange(1.0, V + 1)
    probability /= probability.sum()
    # The square roots are taken of whole counts.
    own = by_frequency(np.rint(1e12 * probability).astype(np.int64), classes)
    sizes = np.bincount(own, minlength=classes)
    return float(probability @ sizes[own])
