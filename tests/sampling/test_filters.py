"""Each filter against its definition, and at the limits of what it is given."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from logits import log_softmax

from rnnlm.sampling import filters

LOGITS = st.lists(st.sampled_from([-3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.0]), min_size=1, max_size=12)
EXAMPLES = hypothesis_settings(max_examples=100, deadline=None)


def by_falling_probability(p: np.ndarray) -> list[int]:
    """Of equals the lower id first."""
    return sorted(range(len(p)), key=lambda j: (-p[j], j))


@EXAMPLES
@given(LOGITS, st.integers(1, 14))
def test_top_k(logits: list[float], k: int) -> None:
    p = np.exp(log_softmax(logits))
    left = p.copy()
    filters.top_k(left, k)
    assert np.flatnonzero(left).tolist() == sorted(by_falling_probability(p)[:k])


@EXAMPLES
@given(LOGITS, st.floats(0.01, 1))
def test_top_p(logits: list[float], mass: float) -> None:
    p = np.exp(log_softmax(logits))
    left = p.copy()
    filters.top_p(left, mass)
    kept = np.flatnonzero(left).tolist()
    order = by_falling_probability(p)
    fewest = next((n for n in range(1, len(p) + 1) if p[order[:n]].sum() >= mass - 1e-12), len(p))
    assert len(kept) in (fewest, fewest + 1) if abs(p[order[:fewest]].sum() - mass) < 1e-9 else len(kept) == fewest
    assert kept == sorted(order[: len(kept)])


@EXAMPLES
@given(LOGITS, st.floats(0, 1))
def test_min_p(logits: list[float], share: float) -> None:
    p = np.exp(log_softmax(logits))
    left = p.copy()
    filters.min_p(left, share)
    clear = np.abs(p - share * p.max()) > 1e-9
    assert ((left > 0) == (p >= share * p.max()))[clear].all()
    assert left.any()


@EXAMPLES
@given(LOGITS, st.floats(0.1, 5))
def test_temperature(logits: list[float], temperature: float) -> None:
    found = filters.tempered(log_softmax(logits), temperature)
    wanted = np.exp(np.array(logits) / temperature)
    np.testing.assert_allclose(found / found.sum(), wanted / wanted.sum(), rtol=1e-9)


def test_temperature_zero_is_the_most_likely() -> None:
    """Of equals the lower id."""
    assert filters.tempered(log_softmax([0.0, 2.0, 2.0, 1.0]), 0).tolist() == [0, 1, 0, 0]


def test_the_highest_temperatures_take_any() -> None:
    np.testing.assert_allclose(filters.tempered(log_softmax([-9.0, 3.0, 0.0]), 1e300), 1)


def test_a_penalty_that_overflows_leaves_something_to_draw_from() -> None:
    log_p = np.log(np.full((1, 10), 0.1))
    penalised = filters.penalised(log_p, np.full((1, 10), True), 1.7e308)
    assert np.isfinite(penalised).all()
    np.testing.assert_array_equal(filters.tempered(penalised[0], 1), 1)
