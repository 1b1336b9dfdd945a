"""The loss curve in characters."""

from __future__ import annotations

from rnnlm.console.curve import curve_lines


def test_a_falling_curve_falls() -> None:
    lines = curve_lines([5.0, 4.0, 3.0, 2.0, 1.0], height=2)
    assert len(lines) == 2
    assert lines[0].startswith("   5.000 ┤█")
    assert lines[1].startswith("   1.000 ┤█")
    heights = [sum(" ▁▂▃▄▅▆▇█".index(line[10:][column : column + 1] or " ") for line in lines) for column in range(5)]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == 5


def test_curves_that_are_none() -> None:
    assert curve_lines([]) == []
    assert curve_lines([1.0]) == []
    assert curve_lines([float("nan"), float("inf"), 1.0]) == []
    assert len(curve_lines([2.0, 2.0])) == 6


def test_a_long_curve_has_no_more_columns_than_asked_for() -> None:
    assert max(len(line) for line in curve_lines([float(i) for i in range(10_000)], width=60)) == 70
