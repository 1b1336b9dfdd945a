from __future__ import annotations

from itertools import pairwise

import pytest

from rnnlm.config import Train
from rnnlm.schedule import learning_rate


def rates(total: int = 100, halvings: int = 0, **values: object) -> list[float]:
    settings = Train.model_validate({"learning_rate": 2.0, **values})
    return [learning_rate(settings, step, total, halvings) for step in range(total)]


def test_constant() -> None:
    assert set(rates(schedule="constant")) == {2.0}


def test_halve_counts_the_failures_of_validation() -> None:
    assert set(rates(schedule="halve", halvings=3, decay=0.5)) == {0.25}


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


@pytest.mark.parametrize("schedule", ["constant", "halve", "linear", "cosine"])
def test_warm_up_rises_from_a_small_first_step(schedule: str) -> None:
    found = rates(schedule=schedule, warmup=10)
    assert found[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert found[10] == pytest.approx(2.0)


def test_steps_beyond_the_plan_keep_the_last_rate() -> None:
    settings = Train(schedule="linear", learning_rate=1.0, final_rate=0.2)
    assert learning_rate(settings, 500, 100, 0) == pytest.approx(0.2)
