"""The learning rate over time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from training_runs import records

from rnnlm.config.training import Linear, Train
from rnnlm.training.records import Valid
from rnnlm.training.schedule import learning_rate


def rates(schedule: str, total: int = 100, reductions: int = 0, **options: object) -> list[float]:
    settings = Train.model_validate({"learning_rate": 2.0, "schedule": {"type": schedule, **options}})
    return [learning_rate(settings, updates, total, reductions) for updates in range(total)]


def test_constant() -> None:
    assert set(rates(schedule="constant")) == {2.0}


def test_plateau_counts_the_failures_of_validation() -> None:
    assert set(rates(schedule="plateau", reductions=3, factor=0.5)) == {0.25}


def test_plateau_in_a_run(make_config: Any) -> None:
    config = make_config(epochs=12, learning_rate=0.5, optimizer="adagrad", schedule="plateau", patience=None)
    valids = records(config, Valid)
    best, rate = np.inf, 0.5
    for record in valids:
        assert record.learning_rate == pytest.approx(rate)
        if record.perplexity > best * (1 - config.train.schedule.min_improvement):
            rate /= 2
        best = min(best, record.perplexity)
    assert rate < 0.5


def test_linear_falls_to_its_share() -> None:
    found = rates(schedule="linear", final_rate=0.1)
    assert found[0] == 2.0
    assert found[50] == pytest.approx(2 * 0.55)
    assert found[99] == pytest.approx(2 * (0.1 + 0.9 * 0.01))


def test_cosine_is_half_way_at_half_time() -> None:
    found = rates(schedule="cosine")
    assert found[0] == 2.0
    assert found[50] == pytest.approx(1.0)
    assert found[75] == pytest.approx(2 * (1 - 0.5**0.5) / 2)
    assert all(a >= b for a, b in pairwise(found))


def test_cosine_in_cycles_begins_again_at_the_top() -> None:
    found = rates(schedule="cosine", cycles=4, final_rate=0.1)
    assert found[0] == found[25] == found[50] == found[75] == 2.0
    assert found[12] == pytest.approx(2 * (0.1 + 0.9 * (1 + np.cos(np.pi * 0.48)) / 2))
    assert max(found[24], found[99]) < 0.21


def test_one_cycle_rises_then_falls() -> None:
    found = rates(schedule="one_cycle", final_rate=0.01)
    assert found[0] == pytest.approx(2 / 25)
    assert found[15] == pytest.approx(1.0)
    assert found[30] == pytest.approx(2.0)
    assert found[65] == pytest.approx(2 * (0.01 + 0.99 / 2))
    assert found[99] < 0.03


@pytest.mark.parametrize("schedule", ["constant", "plateau", "linear", "cosine"])
def test_warm_up_rises_from_a_small_first_rate(schedule: str) -> None:
    found = rates(schedule=schedule, warmup_updates=10)
    assert found[:10] == pytest.approx([0.2 * (updates + 1) for updates in range(10)])
    assert found[10] == pytest.approx(2.0)


def test_updates_beyond_the_plan_keep_the_last_rate() -> None:
    settings = Train(schedule=Linear(final_rate=0.2), learning_rate=1.0)
    assert learning_rate(settings, 500, 100, 0) == pytest.approx(0.2)
