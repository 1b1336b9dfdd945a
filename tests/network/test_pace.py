"""How many threads the loop over time takes in scoring: what is quicker, with the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from networks import Case, config

from rnnlm.network import network as networks
from rnnlm.network import pace as paces
from rnnlm.network.pace import Pace


class Clock:
    """A clock that goes on when a window is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(paces.time, "perf_counter", lambda: self.now)

    def windows(self, pace: Pace, seconds: dict[int, float], count: int) -> list[int]:
        """The threads of some windows, which take so many seconds by their number."""
        found = []
        for _ in range(count):
            with pace.window(10) as threads:
                self.now += seconds[threads]
            found.append(threads)
        return found


def test_what_is_quicker_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert clock.windows(Pace(4), {4: 1.0, 1: 2.0}, 20) == [4, 4, 1] + 17 * [4], "the first window may compile"
    assert clock.windows(Pace(4), {4: 3.0, 1: 2.0}, 20) == [4, 4, 1] + 17 * [1]


def test_the_other_is_tried_again_but_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pace = Clock(monkeypatch), Pace(2)
    clock.windows(pace, {2: 50.0, 1: 1.0}, 3)
    found = clock.windows(pace, {2: 50.0, 1: 1.0}, 5000)
    assert 1 < found.count(2) < 5
    busy = clock.windows(pace, {2: 0.5, 1: 1.0}, 5000)
    assert busy.count(2) > 2500, "the other programs have ended"
    assert clock.windows(pace, {2: 50.0, 1: 1.0}, 200).count(2) < 5, "they have begun again"


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru", "gru_before", "mingru"])
def test_the_numbers_are_the_same(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one thread and with all, by streams and by columns."""
    monkeypatch.setattr(networks, "SCORED_MULTIPLICATIONS", 0)
    for batch in (1, 5):
        settings = config(hidden=200, precision="float32", threads=2, model={"cell": cell})
        case = Case(settings, vocabulary=20, steps=9, batch=batch)
        found = [case.forward().up.copy() for _ in range(4)]
        if case.network.threads > 1:
            assert case.network._paces[batch]._seconds.keys() == {1, case.network.threads}
        assert all((one == found[0]).all() for one in found)
        assert np.isfinite(found[0]).all()
