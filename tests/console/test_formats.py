"""Formats of numbers and times."""

from __future__ import annotations

import pytest

from rnnlm.console import formats


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.6, "60 s"), (100, "1 min 40 s"), (3599.7, "1 h 00 min"),
     (90_061, "25 h 01 min")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1.00"), (1234.567, "1,234.57"), (3.2e7, "3.2e+07"), (float("inf"), "inf"), (None, "-")]
)
def test_perplexities(value: float | None, text: str) -> None:
    assert formats.figure(value) == text
