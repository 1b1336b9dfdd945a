"""Tuning: the line search against every interval of a line, the weights against a grid."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

from rnnlm.errors import NotFiniteError
from rnnlm.evaluation.rescoring.lists import Lists, lists
from rnnlm.evaluation.rescoring.tuning import count, line_search, tune


def drawn(seed: int, utterances: int = 12, most: int = 7) -> tuple[Lists, np.ndarray]:
    """Lists of 1 to `most` hypotheses, some of them with equal scores, and their errors."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, most + 1, utterances)
    names = [str(u) for u, size in enumerate(sizes) for _ in range(size)]
    words = generator.integers(0, 6, len(names))
    features = np.stack([-5.0 * words - generator.gamma(2, 4, len(names)), words, generator.normal(0, 3, len(names))])
    score = generator.integers(-8, 9, len(names)).astype(float)
    return lists(names, score, features.T), generator.integers(0, 5, len(names))


def errors_at(found: Lists, errors: np.ndarray, weights: np.ndarray) -> int:
    """Utterance by utterance, hypothesis by hypothesis."""
    total = 0
    for u in range(max(found.utterance) + 1):
        own = [i for i, other in enumerate(found.utterance) if other == u]
        total += errors[max(own, key=lambda i: found.score[i] + sum(found.features[i] * weights))]
    return int(total)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("low", [-np.inf, -0.5, 0.0])
def test_the_line_search_finds_the_best_of_all_intervals(axis: int, low: float) -> None:
    for seed in range(20):
        found, errors = drawn(seed)
        base, slope = found.score, found.features[:, axis]
        interval = line_search(base, slope, found.utterance, errors, low)
        crossings = {
            (base[i] - base[j]) / (slope[j] - slope[i])
            for i, j in itertools.permutations(range(len(base)), 2)
            if found.utterance[i] == found.utterance[j] and slope[i] != slope[j]
        }
        bounds = sorted(g for g in crossings if g > low)
        inner = [(a + b) / 2 for a, b in itertools.pairwise(bounds) if b - a > 1e-9]
        first = bounds[0] - 1 if np.isinf(low) else (low + bounds[0]) / 2
        least = min(errors_at(found, errors, np.eye(3)[axis] * g) for g in [first, *inner, bounds[-1] + 1])
        at = np.clip(interval, bounds[0] - 1, bounds[-1] + 1).mean()
        assert errors_at(found, errors, np.eye(3)[axis] * at) == least, seed
        assert interval.low >= low


def test_the_interval_goes_from_corner_to_corner() -> None:
    """One utterance: totals g, 1 and 4 - g / 2; errors 2, 0 and 1. The middle one is never the best one."""
    one = np.zeros(3, np.int64)
    base, slope = np.array([0.0, 1.0, 4.0]), np.array([1.0, 0.0, -0.5])
    found = line_search(base, slope, one, np.array([2, 0, 1]), -np.inf)
    assert found == (-np.inf, pytest.approx(8 / 3))
    found = line_search(base, slope, one, np.array([0, 2, 1]), 0.0)
    assert found == (pytest.approx(8 / 3), np.inf)
    base[1] = 3.0  # now it is, between 2 and 3
    assert line_search(base, slope, one, np.array([2, 0, 1]), -np.inf) == (pytest.approx(2), pytest.approx(3))


@pytest.mark.parametrize(
    ("errors", "wanted"),
    [
        ([1, 0, 1, 0, 1], (5, 7)),
        ([0, 1, 0, 1, 1], (2, 5)),
        ([1, 0, 0, 1, 1], (1, 5)),  # of two hypotheses
        ([1, 0, 1, 0, 0], (1, 2)),  # the other one has no end
        ([1, 0, 1, 1, 1], (1, 2)),
    ],
)
def test_of_equal_intervals_the_longest(errors: list[int], wanted: tuple[float, float]) -> None:
    """One utterance, whose best hypothesis changes at 1, 2, 5 and 7."""
    slope, base = np.arange(5.0), -np.cumsum([0.0, 1.0, 2.0, 5.0, 7.0])
    assert line_search(base, slope, np.zeros(5, np.int64), np.array(errors), 0.0) == wanted


@pytest.mark.parametrize("free", [[0], [1], [2], [0, 1], [0, 2], [0, 1, 2]])
def test_no_point_of_a_grid_has_fewer_errors(free: list[int]) -> None:
    """Along one weight the search is exact; over three of them it may end in a local minimum, an error above."""
    for seed in range(10):
        found, errors = drawn(seed, 30)
        start = np.array([0.3, -1.0, 0.2])
        start[free] = 0.0
        weights = tune(found, errors, start, free)
        fixed = [axis for axis in range(3) if axis not in free]
        assert weights[fixed].tolist() == start[fixed].tolist()
        assert weights[0] >= 0
        least = errors_at(found, errors, weights)
        assert least == count(found, errors, weights)
        values = [np.linspace(0, 4, 21), np.linspace(-10, 20, 31), np.linspace(-3, 3, 13)]
        grid = itertools.product(*(values[axis] if axis in free else [start[axis]] for axis in range(3)))
        best = min(count(found, errors, np.array(point)) for point in grid)
        assert least <= best + (len(free) == 3), seed


def test_weights_have_few_digits() -> None:
    """No error between two corners at 2/9 and 1/3."""
    score, log_p = np.array([0.0, 1.0, 5 / 3]), np.array([0.0, -3.0, -6.0])
    found = lists(["u"] * 3, score, np.stack([log_p, np.zeros(3), np.zeros(3)], axis=1))
    weights = tune(found, np.array([1, 0, 1]), np.zeros(3), [0])
    assert weights.tolist() == [pytest.approx(0.3, abs=0.04), 0, 0]
    assert len(str(weights[0])) <= 4


def test_where_nothing_matters_weights_are_0() -> None:
    found = lists(["u", "v"], np.array([1.0, 2.0]), np.ones((2, 3)))
    assert tune(found, np.array([1, 2]), np.zeros(3), [0, 1]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("free", [[0, 1], [2, 0], [0, 1, 2]])
def test_weights_are_well_inside_their_intervals(free: list[int]) -> None:
    """The last one of `free` in the middle half of the interval in which the others leave the errors as they are."""
    shares = []
    for seed in range(10):
        found, errors = drawn(seed, 30)
        weights = tune(found, errors, np.zeros(3), free)
        assert all(len(repr(float(weight)).strip("-0.").replace(".", "")) < 15 for weight in weights), seed
        axis = np.eye(3)[free[-1]]
        base, low = found.totals(np.where(axis != 0, 0.0, weights)), 0.0 if free[-1] == 0 else -np.inf
        interval = line_search(base, found.features @ axis, found.utterance, errors, low)
        if np.isfinite(interval).all():
            shares.append((weights @ axis - interval.low) / (interval.high - interval.low))
    assert len(shares) >= 8
    assert min(shares) >= 0.25
    assert max(shares) <= 0.75


def test_hypotheses_may_stand_in_any_order() -> None:
    """Those of one utterance need not stand together."""
    found, errors = drawn(3, 30)
    order = np.argsort(np.random.default_rng(0).random(30)[found.utterance] + np.linspace(0, 1, len(errors)))
    order = np.argsort(np.argsort(order) % 5, kind="stable")
    order = np.concatenate([order[found.utterance[order] % 2 == half] for half in (0, 1)])
    for u in range(30):  # in the order of its list
        own = np.flatnonzero(found.utterance[order] == u)
        order[own] = np.sort(order[own])
    mixed = lists([str(u) for u in found.utterance[order]], found.score[order], found.features[order])
    wanted = tune(found, errors, np.zeros(3), [0, 1, 2])
    assert tune(mixed, errors[order], np.zeros(3), [0, 1, 2]) == pytest.approx(wanted)
    totals = found.totals(wanted)
    assert mixed.ranks(totals[order]).tolist() == found.ranks(totals)[order].tolist()
    assert mixed.places().tolist() == found.places()[order].tolist()
    for u in range(30):
        own = np.flatnonzero(found.utterance == u)
        assert found.places()[own].tolist() == list(range(1, len(own) + 1))
        assert found.ranks(totals)[own].tolist() == [1 + int((totals[own] > totals[i]).sum()) for i in own]


@pytest.mark.parametrize("weights", [[1e308, 0, 0], [0, -1e308, 0], [1e307, 1e308, 0]])
def test_totals_that_are_not_finite(weights: list[float]) -> None:
    found, errors = drawn(0)
    with pytest.raises(NotFiniteError, match="^the total of a hypothesis is not finite: "):
        found.totals(np.array(weights))
    with pytest.raises(NotFiniteError, match="^the total of a hypothesis is not finite: "):
        tune(found, errors, np.array(weights), [2])


def test_one_long_list_takes_no_more_memory_than_short_ones() -> None:
    """Of 4,000 lists of one hypothesis and one of 4,000 the scores are 8,000 numbers, not 16 million."""
    generator = np.random.default_rng(0)
    names = [str(min(i, 4000)) for i in range(8000)]
    made = lists(names, generator.normal(0, 5, 8000), generator.normal(0, 5, (8000, 3)))
    tracemalloc.start()
    tune(made, generator.integers(0, 5, 8000), np.zeros(3), [0, 1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000
