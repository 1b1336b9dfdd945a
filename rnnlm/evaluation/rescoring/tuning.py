"""Tuning of the weights by word errors: minimum error rate training (Och 2003), by exact line searches.

Along a line w + g d of weights the total of a hypothesis is a line in g. The best hypothesis of an utterance changes
at the corners of the upper envelope of these lines, so the errors of all utterances are constant between two corners.
The search finds all corners and takes the best interval. It goes along one line after the other until none lowers the
errors. As a function of all weights these have many local minima, so it begins at the best points of a coarse grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.evaluation.rescoring.lists import Lists, first_highest

# The search begins at so many of the best points of a grid, which has so many values of each weight.
_STARTS, _POINTS = 5, 7
_WEIGHT = 0

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """An interval of g with the same errors."""

    low: float
    high: float


def tune(lists: Lists, errors: NDArray[np.int64], start: Floats, free: Sequence[int]) -> Floats:
    """The weights with the fewest errors that the search finds; of equal ones those of the widest interval.

    Args:
        errors: N, of each hypothesis. start: the weights in the order of ``Lists.features``.
        free: which of them may change; that of log p stays at 0 or above.
    """
    directions = list(_directions(lists, free))
    found = [_descend(lists, errors, one, directions, free) for one in _starts(lists, errors, start, free)]
    return min(found, key=lambda weights: count(lists, errors, weights))


def count(lists: Lists, errors: NDArray[np.int64], weights: Floats) -> int:
    """The errors of the best hypotheses."""
    return int(errors[lists.best(weights)].sum())


def _directions(lists: Lists, free: Sequence[int]) -> Iterator[Floats]:
    """Each weight alone, and several together: the diagonals of the space in which the features are uncorrelated and
    of variance 1 (within lists), so that their scales do not matter."""
    axes = np.eye(3)[list(free)]
    yield from axes
    features = lists.features @ axes.T
    sums = np.stack([np.bincount(lists.utterance, one) for one in features.T], axis=1)
    inner = features - (sums / lists.sizes[:, None])[lists.utterance]
    variances, vectors = np.linalg.eigh(inner.T @ inner)
    some = variances > 1e-12 * variances.max()
    vectors = vectors[:, some] / np.sqrt(variances[some])
    for signs in itertools.product((-1, 0, 1), repeat=int(some.sum())):
        direction = vectors @ signs @ axes
        # Each line once, and with it a weight of log p that grows.
        if direction[np.flatnonzero(direction)[:1]].sum() > 0:
            yield direction


def _starts(lists: Lists, errors: NDArray[np.int64], start: Floats, free: Sequence[int]) -> list[Floats]:
    """The best points of a coarse grid, and the start itself."""
    points = list(_grid(lists, errors, start, free))
    return [start, *sorted(points, key=lambda weights: count(lists, errors, weights))[:_STARTS]]


def _grid(lists: Lists, errors: NDArray[np.int64], weights: Floats, free: Sequence[int]) -> Iterator[Floats]:
    """Of each free weight the quantiles of its corners where those before it stand."""
    if not free:
        yield weights
        return
    axis = np.eye(3)[free[0]]
    low = 0.0 if free[0] == _WEIGHT else -np.inf
    weights = np.where(axis != 0, 0.0, weights)
    corners, _, _ = _corners(lists.totals(weights), lists.features @ axis, lists.utterance, errors, low)
    for value in np.quantile(corners, (np.arange(_POINTS) + 0.5) / _POINTS) if len(corners) else [0.0]:
        yield from _grid(lists, errors, weights + value * axis, free[1:])


def _descend(
    lists: Lists, errors: NDArray[np.int64], weights: Floats, directions: Sequence[Floats], free: Sequence[int]
) -> Floats:
    least, better = count(lists, errors, weights), True
    while better:
        better = False
        for direction in directions:
            moved = _along(lists, errors, weights, direction)
            if (found := count(lists, errors, moved)) < least:
                weights, least, better = moved, found, True
    # Into the middle of the intervals, and to few digits.
    for axis in np.eye(3)[list(free)]:
        moved = _along(lists, errors, weights, axis)
        if (found := count(lists, errors, moved)) <= least:
            weights, least = moved, found
    return weights


def _along(lists: Lists, errors: NDArray[np.int64], weights: Floats, direction: Floats) -> Floats:
    """The best weights on a line."""
    if np.count_nonzero(direction) == 1:  # a weight alone: g is its value
        weights = np.where(direction != 0, 0.0, weights)
    low = -weights[_WEIGHT] / direction[_WEIGHT] if direction[_WEIGHT] else -np.inf
    base, slope = lists.totals(weights), lists.features @ direction
    found = line_search(base, slope, lists.utterance, errors, low)
    moved: Floats = weights + _inside(found) * direction
    moved[_WEIGHT] = max(0.0, moved[_WEIGHT])
    return moved


def line_search(
    base: Floats, slope: Floats, utterance: NDArray[np.int64], errors: NDArray[np.int64], low: float
) -> Interval:
    """The interval of g >= low with the fewest errors of the hypotheses with the highest base + g slope.

    Of several the longest one; one without an end only where there is no other.

    Args:
        base, slope, utterance, errors: N, of each hypothesis.
    """
    corners, changes, first = _corners(base, slope, utterance, errors, low)
    corners, places = np.unique(corners, return_inverse=True)
    steps = np.zeros(len(corners), np.int64)
    np.add.at(steps, places, changes)
    corners, steps = corners[steps != 0], steps[steps != 0]
    totals = first + np.concatenate([[0], np.cumsum(steps)])
    bounds = np.concatenate([[low], corners, [np.inf]])
    lows, highs = bounds[:-1], bounds[1:]
    ended = np.isfinite(lows) & np.isfinite(highs)
    lengths = np.subtract(highs, lows, out=np.zeros(len(lows)), where=ended)
    chosen = int(np.where(totals == totals.min(), lengths, -1.0).argmax())
    return Interval(float(lows[chosen]), float(highs[chosen]))


def _corners(
    base: Floats, slope: Floats, utterance: NDArray[np.int64], errors: NDArray[np.int64], low: float
) -> tuple[Floats, NDArray[np.int64], int]:
    """The corners of all utterances' envelopes above low, the change of errors at each, and the errors at low."""
    # At low the highest line is the best, of several the steepest; at -inf the flattest, of several the highest.
    value, then = (base + low * slope, slope) if np.isfinite(low) else (-slope, base)
    best = first_highest(value, utterance)
    best = first_highest(np.where(value == value[best][utterance], then, -np.inf), utterance)
    first = int(errors[best].sum())
    corners, changes = [np.empty(0)], [np.empty(0, np.int64)]
    going = np.arange(len(base))
    while True:
        # Of no steeper lines, those already passed among them, none is the best again.
        going = going[slope[going] > slope[best[utterance[going]]]]
        if not len(going):
            break
        own = utterance[going]
        with np.errstate(over="ignore"):  # of lines that are as good as parallel
            crossing = (base[best[own]] - base[going]) / (slope[going] - slope[best[own]])
        finite = np.isfinite(crossing)
        going, own, crossing = going[finite], own[finite], crossing[finite]
        nearest = first_highest(-crossing, own, len(best))
        goes_on = np.flatnonzero(nearest >= 0)
        corner = crossing[nearest[goes_on]]
        # Of several lines through a corner the steepest goes on.
        through = crossing == crossing[nearest[own]]
        steepest = going[first_highest(np.where(through, slope[going], -np.inf), own, len(best))[goes_on]]
        corners.append(np.maximum(corner, low))
        changes.append(errors[steepest] - errors[best[goes_on]])
        best[goes_on] = steepest
    return np.concatenate(corners), np.concatenate(changes), first


def _inside(found: Interval) -> float:
    """A number of few digits in the middle half of an interval; of one without an end a number near its bound."""
    low, high = found
    if not np.isfinite(low) and not np.isfinite(high):
        return 0.0
    if not np.isfinite(high):
        high = low + max(1.0, abs(low)) if low else 0.0
    elif not np.isfinite(low):
        low = high - max(1.0, abs(high))
    middle, quarter = low + (high - low) / 2, (high - low) / 4
    for digits in range(1, 17):
        value = float(f"{middle:.{digits}g}")
        if middle - quarter <= value <= middle + quarter:
            return value
    return middle
