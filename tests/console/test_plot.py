"""The loss curve, in characters and as a picture."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rnnlm.console import curve as plot


def test_a_falling_curve_falls() -> None:
    lines = plot.curve_lines([5.0, 4.0, 3.0, 2.0, 1.0], height=2)
    assert len(lines) == 2
    assert lines[0].startswith("   5.000 ┤█")
    assert lines[1].startswith("   1.000 ┤█")
    heights = [sum(" ▁▂▃▄▅▆▇█".index(line[10:][column : column + 1] or " ") for line in lines) for column in range(5)]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == 5


def test_curves_that_are_none() -> None:
    assert plot.curve_lines([]) == []
    assert plot.curve_lines([1.0]) == []
    assert plot.curve_lines([float("nan"), float("inf"), 1.0]) == []
    assert len(plot.curve_lines([2.0, 2.0])) == 6


def test_a_long_curve_has_no_more_columns_than_asked_for() -> None:
    assert max(len(line) for line in plot.curve_lines([float(i) for i in range(10_000)], width=60)) == 70


def test_the_picture(runs: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    shutil.copy(runs["word"] / "log.jsonl", tmp_path)
    path = plot.loss_curve(tmp_path)
    assert path == tmp_path / "loss.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    (tmp_path / "log.jsonl").write_text(json.dumps({"event": "end", "step": 0}) + "\n")
    assert plot.loss_curve(tmp_path)
