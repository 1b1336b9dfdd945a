"""Where the windows of training end."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from rnnlm.config.schema import Train
from rnnlm.training import windows
from rnnlm.training.loop import train
from rnnlm.training.records import Start, Updates, Valid


def settings(**keys: Any) -> Train:
    return Train.model_validate(keys)


@pytest.mark.parametrize(("bptt", "stride", "length"), [(5, 5, 23), (5, 2, 10), (5, 5, 5), (35, 35, 7), (4, 1, 9)])
def test_windows_of_one_length(bptt: int, stride: int, length: int) -> None:
    found = windows.ends(settings(bptt=bptt, bptt_stride=stride), length, 0)
    assert found.tolist() == [min(i + stride, length) for i in range(0, length, stride)]


def test_windows_of_random_lengths() -> None:
    keys = settings(bptt=35, bptt_deviation=5)
    first, again, second = (windows.ends(keys, 100_000, epoch) for epoch in (0, 0, 1))
    assert (first == again).all()
    assert first[-1] == 100_000
    assert len(first) != len(second) or (first != second).any()
    lengths = np.diff(first, prepend=0)[:-1]
    assert lengths.min() >= 5
    short = lengths < 25  # two standard deviations below 35 and above 17.5
    assert short.mean() == pytest.approx(0.05 + 0.95 * 0.023, abs=0.015)
    assert lengths[~short].mean() == pytest.approx(35, abs=0.5)
    assert lengths[~short].std() == pytest.approx(5, abs=0.6)


def test_how_many_updates() -> None:
    assert windows.total_updates(settings(bptt=5, epochs=3), 23) == 15
    assert windows.total_updates(settings(bptt=5, epochs=3, accumulate=2), 23) == 9
    assert windows.total_updates(settings(bptt=5, epochs=3, max_updates=4), 23) == 4
    keys = settings(bptt=10, bptt_deviation=3, epochs=3, accumulate=2)
    assert windows.total_updates(keys, 500) == sum(math.ceil(len(windows.ends(keys, 500, e)) / 2) for e in range(3))


def test_epochs_that_never_begin_take_no_time() -> None:
    keys = settings(bptt=10, bptt_deviation=3, epochs=2**60, max_updates=100)
    assert windows.total_updates(keys, 500) == 100
    assert windows.total_validations(keys, 500) == 1 + sum(
        sum(windows.updates_of_epoch(keys, 500, e) for e in range(last)) < 100 for last in range(1, 100)
    )


def test_random_lengths_and_overlapping_windows_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="bptt_deviation goes with windows that do not overlap"):
        settings(bptt=5, bptt_stride=2, bptt_deviation=1)
    settings(bptt=5, bptt_stride=5, bptt_deviation=1)


def test_a_run_with_windows_of_random_lengths(make_config: Any) -> None:
    """Every token has its loss once; the number of updates is the one that was announced."""
    config = make_config(bptt_deviation=2, epochs=3, log={"every_updates": 1}, patience=None)
    found = list(train(config))
    start = next(record for record in found if isinstance(record, Start))
    updates = [record for record in found if isinstance(record, Updates)]
    assert len(updates) == start.total_updates
    assert updates[-1].tokens == 3 * start.tokens_per_epoch
    assert len({b.tokens - a.tokens for a, b in itertools.pairwise(updates)}) > 3


def test_validations_are_counted(make_config: Any) -> None:
    """As training itself counts them."""
    for keys in (
        {},
        {"max_updates": 20},
        {"validate": {"every_updates": 4}},
        {"bptt_deviation": 2, "max_updates": 33},
    ):
        config = make_config(patience=None, **keys)
        found = list(train(config))
        start = next(record for record in found if isinstance(record, Start))
        length = start.tokens_per_epoch // config.train.batch
        assert windows.total_validations(config.train, length) == sum(isinstance(record, Valid) for record in found)
