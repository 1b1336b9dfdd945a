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

from rnnlm.evaluation.rescoring.lists import Lists

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
        errors: of each hypothesis, U x n. start: the weights in the order of ``Lists.features``.
        free: which of them may change; that of log p stays at 0 or above.
    """
    directions = list(_directions(lists, free))
    found = [_descend(lists, errors, one, directions, free) for one in _starts(lists, errors, start, free)]
    return min(found, key=lambda weights: count(lists, errors, weights))


def count(lists: Lists, errors: NDArray[np.int64], weights: Floats) -> int:
    """The errors of the best hypotheses."""
    return int(np.take_along_axis(errors, lists.best(weights)[:, None], axis=1).sum())


def _directions(lists: Lists, free: Sequence[int]) -> Iterator[Floats]:
    """Each weight alone, and several together: the diagonals of the space in which the features are uncorrelated and
    of variance 1 (within lists), so that their scales do not matter."""
    axes = np.eye(3)[list(free)]
    yield from axes
    features = lists.features @ axes.T
    sizes = lists.valid.sum(axis=1)[:, None, None]
    inner = np.where(lists.valid[:, :, None], features - features.sum(axis=1, keepdims=True) / sizes, 0.0)
    variances, vectors = np.linalg.eigh(np.einsum("uni,unj->ij", inner, inner))
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
    corners, _, _ = _corners(lists.totals(weights), lists.features @ axis, lists.valid, errors, low)
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
    found = line_search(base, slope, lists.valid, errors, low)
    moved: Floats = weights + _inside(found) * direction
    moved[_WEIGHT] = max(0.0, moved[_WEIGHT])
    return moved


def line_search(
    base: Floats, slope: Floats, valid: NDArray[np.bool_], errors: NDArray[np.int64], low: float
) -> Interval:
    """The interval of g >= low with the fewest errors of the hypotheses with the highest base + g slope.

    Of several the longest one; one without an end only where there is no other.

    Args:
        base, slope, valid, errors: U x n; base is -inf where valid is false.
    """
    corners, changes, first = _corners(base, slope, valid, errors, low)
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
    base: Floats, slope: Floats, valid: NDArray[np.bool_], errors: NDArray[np.int64], low: float
) -> tuple[Floats, NDArray[np.int64], int]:
    """The corners of all utterances' envelopes above low, the change of errors at each, and the errors at low."""
    if np.isfinite(low):
        value = base + low * slope
        highest = value == value.max(axis=1, keepdims=True)
        at = np.where(highest, slope, -np.inf).argmax(axis=1)
    else:
        flattest = valid & (slope == np.where(valid, slope, np.inf).min(axis=1, keepdims=True))
        at = np.where(flattest, base, -np.inf).argmax(axis=1)
    rows = np.arange(len(base))
    first = int(errors[rows, at].sum())
    corners, changes = [np.empty(0)], [np.empty(0, np.int64)]
    while len(rows):
        rise = np.where(valid[rows], slope[rows] - slope[rows, at][:, None], 0.0)
        crossing = np.divide(
            base[rows, at][:, None] - base[rows], rise, out=np.full(rise.shape, np.inf), where=rise > 0
        )
        corner = crossing.min(axis=1)
        # Of several lines through a corner the steepest goes on.
        then = np.where(crossing == corner[:, None], slope[rows], -np.inf).argmax(axis=1)
        goes_on = np.isfinite(corner)
        rows, at, then = rows[goes_on], at[goes_on], then[goes_on]
        corners.append(np.maximum(corner[goes_on], low))
        changes.append(errors[rows, then] - errors[rows, at])
        at = then
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
