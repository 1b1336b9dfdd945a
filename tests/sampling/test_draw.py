"""Draws against the distribution that they are made from, by chi-square tests at 0.1%."""

from __future__ import annotations

import numpy as np
from logits import log_softmax

from rnnlm.sampling.draw import draw_token
from rnnlm.sampling.sample import Settings, filtered


def test_draws_follow_the_distribution() -> None:
    wanted = filtered(log_softmax([0.0, 1.0, -1.0, 2.0, -9.0]), Settings(temperature=1.5, top_k=4))
    generator = np.random.default_rng(7)
    draws = 20_000
    counts = np.bincount([draw_token(wanted, generator) for _ in range(draws)], minlength=5)
    wanted /= wanted.sum()
    assert counts[4] == 0
    statistic = ((counts - draws * wanted)[:4] ** 2 / (draws * wanted[:4])).sum()
    assert statistic < 16.3, "3 degrees of freedom"


def test_draws_follow_what_all_filters_together_leave() -> None:
    """What is left is worked out by hand: y^ = 8, 4, 2, 1, 1 sixteenths."""
    kept = filtered(np.log(np.array([1, 8, 2, 4, 1]) / 16), Settings(top_k=4, top_p=0.9, min_p=0.2))
    wanted = np.array([0, 8, 2, 4, 0]) / 14
    np.testing.assert_allclose(kept / kept.sum(), wanted, rtol=1e-12)
    generator = np.random.default_rng(11)
    counts = np.bincount([draw_token(kept, generator) for _ in range(20_000)], minlength=5)
    assert counts[[0, 4]].sum() == 0
    expected = 20_000 * wanted[[1, 2, 3]]
    assert ((counts[[1, 2, 3]] - expected) ** 2 / expected).sum() < 13.8, "2 degrees of freedom"
