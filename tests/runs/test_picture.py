"""The picture of the curves."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from run_folders import records, write_records

from rnnlm.errors import InputError
from rnnlm.runs import picture
from rnnlm.runs.picture import labels
from rnnlm.runs.ranking import rank
from rnnlm.runs.records import Ranking
from rnnlm.work import run_to_end


@pytest.fixture
def ranking(trained: Path) -> Ranking:
    return run_to_end(rank([trained]))


def test_a_curve_a_run_and_a_panel_a_group(ranking: Ranking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    seen = []
    save = figure.Figure.savefig
    monkeypatch.setattr(
        figure.Figure, "savefig", lambda self, *given, **more: (seen.append(self), save(self, *given, **more))
    )
    for by in ("epochs", "updates", "seconds"):
        picture.draw(ranking, tmp_path / f"{by}.png", by)
        assert (tmp_path / f"{by}.png").read_bytes().startswith(b"\x89PNG")
        for axes, group in zip(seen[-1].axes, ranking.groups, strict=True):
            curves, dots = axes.lines[::2], axes.lines[1::2]
            for curve, dot, run in zip(curves, dots, group.runs, strict=True):
                assert curve.get_xdata().tolist() == [getattr(validation, by) for validation in run.validations]
                assert curve.get_ydata().tolist() == [validation.perplexity for validation in run.validations]
                assert dot.get_ydata().tolist() == [run.best_perplexity]
            assert [text.get_text() for text in axes.get_legend().get_texts()] == labels(group.keys, group.runs)
            assert axes.get_xlabel().startswith(by)
    picture.draw(ranking, tmp_path / "curves.svg", "epochs")
    assert re.search(r"<svg", (tmp_path / "curves.svg").read_text())


@pytest.mark.parametrize("count", [25, 40, 43])
def test_many_runs(ranking: Ranking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """The legend stays inside the picture; of more runs than there are kinds of lines it names the first ones."""
    figure = pytest.importorskip("matplotlib.figure")
    seen = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, *_, **__: seen.append(self))
    group = next(group for group in ranking.groups if len(group.runs) == 3)
    many = tuple(replace(group.runs[i % 3], name=f"run-{i}") for i in range(count))
    groups = (replace(group, runs=many, keys=()), next(group for group in ranking.groups if len(group.runs) == 1))
    picture.draw(replace(ranking, groups=groups), tmp_path / "curves.png", "epochs")
    (drawn,) = seen
    drawn.draw_without_rendering()
    axes, other = drawn.axes
    legend = axes.get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    assert names[:40] == [f"run-{i}" for i in range(min(count, 40))]
    assert names[40:] == (["the other 3"] if count == 43 else [])
    kinds = [(line.get_color(), line.get_linestyle()) for line in axes.lines[::2]]
    assert len(kinds) == count
    assert len(set(kinds[:40])) == min(count, 40)
    assert all(line.get_color() == "0.8" for line in axes.lines[80:])
    extent, whole = legend.get_window_extent(), drawn.bbox
    assert whole.x1 >= extent.x1
    assert extent.y0 >= other.get_tightbbox().y1
    assert axes.get_position().height >= other.get_position().height


def test_names_that_matplotlib_would_read(ranking: Ranking, tmp_path: Path) -> None:
    """A formula that is none, a name that begins as hidden ones do, letters that the font does not have."""
    pytest.importorskip("matplotlib")
    groups = [
        replace(group, valid="$valid$_{", keys=(), runs=tuple(replace(run, name=name) for run in group.runs))
        for group, name in zip(ranking.groups, ("$x_{", "_\u4e16\u754c"), strict=True)
    ]
    picture.draw(replace(ranking, groups=tuple(groups)), tmp_path / "curves.png", "epochs")
    assert (tmp_path / "curves.png").exists()


def test_the_legend_says_what_differs(ranking: Ranking) -> None:
    group = next(group for group in ranking.groups if len(group.runs) == 3)
    found = dict(zip((run.name for run in group.runs), labels(group.keys, group.runs), strict=True))
    assert found == {
        "plain": "cell elman, learning_rate 0.02, average null",
        "lstm": "cell lstm, learning_rate 0.01, average null",
        "ema": "cell elman, learning_rate 0.02, average ema",
    }
    names = [run.name for run in group.runs]
    cells = {"plain": "plain: cell elman", "lstm": "cell lstm", "ema": "ema: cell elman"}
    assert labels(("model.cell.type",), group.runs) == [cells[name] for name in names]
    assert labels((), group.runs) == names
    assert labels(tuple(group.runs[0].settings), group.runs) == names, "too many to read"
    settings = {"model.dropout.output": 0.1, "model.output.type": "softmax", "model.tie_weights": True}
    assert labels(tuple(settings)[:2], [replace(group.runs[0], settings=settings)]) == [
        "model.dropout.output 0.1, model.output.type softmax"
    ], "the whole names, where their last parts are the same"
    assert labels(("model.tie_weights",), [replace(group.runs[0], settings=settings)]) == ["tie_weights true"]


def test_nothing_to_draw(copied: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_records(copied / "plain", [record for record in records(copied / "plain") if record["event"] != "valid"])
    found = run_to_end(rank([copied / "plain"]))
    with pytest.raises(InputError, match="^--plot: none of these runs has a validation in its log"):
        picture.draw(found, tmp_path / "curves.png", "epochs")
    assert not (tmp_path / "curves.png").exists()


def test_without_matplotlib(ranking: Ranking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"matplotlib is not installed; install it: pip install '\.\[plot\]'"):
        picture.draw(ranking, tmp_path / "curves.png", "epochs")
    assert not list(tmp_path.iterdir())
