from __future__ import annotations

import math

import numpy as np
import pytest
from fake_text import FakeCorpus, FakeVocabulary, settings
from records import run

from rnnlm.vectors import random

VOCABULARY = FakeVocabulary(["</s>", *map(str, range(999))])


def table_of(init: str, scale: float | None) -> np.ndarray:
    table, _ = run(random.make(FakeCorpus([]), VOCABULARY, settings(init, 100, scale=scale), 7, 1))
    return table


@pytest.mark.parametrize("scale", [0.02, None])
def test_uniform_fills_its_interval_evenly(scale: float | None) -> None:
    table = table_of("uniform", scale)
    edge = (scale or 0.1) * math.sqrt(3)
    counts, _ = np.histogram(table, bins=10, range=(-edge, edge))
    assert counts.sum() == table.size  # nothing outside
    assert np.abs(counts / 10_000 - 1).max() < 0.06  # six standard deviations
    assert table.std() == pytest.approx(scale or 0.1, rel=0.01)


@pytest.mark.parametrize("scale", [0.02, None])
def test_normal_has_the_tails_of_a_normal_distribution(scale: float | None) -> None:
    z = table_of("normal", scale) / (scale or 0.1)
    assert abs(z.mean()) < 0.02
    assert z.std() == pytest.approx(1, rel=0.01)
    assert (np.abs(z) > 2).mean() == pytest.approx(0.0455, abs=0.004)
