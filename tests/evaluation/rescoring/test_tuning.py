"""Tuning: the line search against every interval of a line, the weights against a grid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

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
    made = lists(names, score, features.T)
    return made, made.of_each(generator.integers(0, 5, len(names)))


def errors_at(found: Lists, errors: np.ndarray, weights: np.ndarray) -> int:
    """Utterance by utterance, hypothesis by hypothesis."""
    total = 0
    for scores, features, own, valid in zip(found.score, found.features, errors, found.valid, strict=True):
        best = max(range(valid.sum()), key=lambda i: scores[i] + sum(features[i] * weights))
        total += own[best]
    return int(total)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("low", [-np.inf, -0.5, 0.0])
def test_the_line_search_finds_the_best_of_all_intervals(axis: int, low: float) -> None:
    for seed in range(20):
        found, errors = drawn(seed)
        base, slope = found.score, found.features[:, :, axis]
        interval = line_search(base, slope, found.valid, errors, low)
        crossings = {
            (base[u, i] - base[u, j]) / (slope[u, j] - slope[u, i])
            for u in range(len(base))
            for i, j in itertools.permutations(np.flatnonzero(found.valid[u]), 2)
            if slope[u, i] != slope[u, j]
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
    valid = np.ones((1, 3), np.bool_)
    base, slope = np.array([[0.0, 1.0, 4.0]]), np.array([[1.0, 0.0, -0.5]])
    found = line_search(base, slope, valid, np.array([[2, 0, 1]]), -np.inf)
    assert found == (-np.inf, pytest.approx(8 / 3))
    found = line_search(base, slope, valid, np.array([[0, 2, 1]]), 0.0)
    assert found == (pytest.approx(8 / 3), np.inf)
    base[0, 1] = 3.0  # now it is, between 2 and 3
    assert line_search(base, slope, valid, np.array([[2, 0, 1]]), -np.inf) == (pytest.approx(2), pytest.approx(3))


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
    """Two corners at 1/3 and 2/3 of the weight: 0.5."""
    score, log_p = np.array([0.0, 1.0, 5 / 3]), np.array([0.0, -3.0, -6.0])
    found = lists(["u"] * 3, score, np.stack([log_p, np.zeros(3), np.zeros(3)], axis=1))
    weights = tune(found, found.of_each(np.array([1, 0, 1])), np.zeros(3), [0])
    assert weights.tolist() == [pytest.approx(0.3, abs=0.04), 0, 0]
    assert len(str(weights[0])) <= 4


def test_where_nothing_matters_weights_are_0() -> None:
    found = lists(["u", "v"], np.array([1.0, 2.0]), np.ones((2, 3)))
    assert tune(found, found.of_each(np.array([1, 2])), np.zeros(3), [0, 1]).tolist() == [0, 0, 0]
