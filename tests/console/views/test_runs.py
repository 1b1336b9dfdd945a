"""How runs side by side look on a narrow screen."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from rnnlm.console.views import runs
from rnnlm.console.views.runs import runs_view
from rnnlm.runs.ranking import rank
from rnnlm.runs.records import Ranking
from rnnlm.work import run_to_end


@pytest.fixture
def ranking(trained: Path) -> Ranking:
    return run_to_end(rank([trained / name for name in ("plain", "lstm", "ema")]))


def shown(ranking: Ranking, width: int) -> list[str]:
    console = Console(width=width, soft_wrap=True, markup=False, highlight=False)
    with console.capture() as capture:
        for part in runs_view(ranking, width):
            console.print(part)
    return [line.rstrip() for line in capture.get().splitlines() if line.strip()]


def test_a_wide_screen_has_one_table(ranking: Ranking) -> None:
    lines = shown(ranking, 200)
    assert sum("─" in line for line in lines) == 1
    assert sum(line.split()[0] == "lstm" for line in lines) == 1


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_one_has_more_of_them_and_all_that_there_is(ranking: Ranking, width: int) -> None:
    lines = shown(ranking, width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    for run in ranking.groups[0].runs:
        assert {f"{run.best_perplexity:.2f}", f"{run.test_perplexity:.2f}", f"{run.parameters:,}"} <= set(words)
    assert sum("─" in line for line in lines) >= 2
    assert {"0.01", "ema"} <= set(words)


@pytest.mark.parametrize("width", [40, 61, 80, 200])
def test_as_many_columns_as_there_is_room_for(ranking: Ranking, width: int) -> None:
    """The widths that parts are filled by are those of rich's own tables, Chinese characters and long names too."""
    group = ranking.groups[0]
    made = tuple(replace(group.runs[i % 3], name="[b]" + "世界" * (i % 4) + "x" * (i * 7 % 50)) for i in range(12))
    group = replace(group, runs=made, keys=tuple(group.runs[0].settings)[:9])
    measure = Console(width=10_000, markup=False).measure
    columns = [runs._names(group), *runs._results(group), *runs._settings(group)]
    for some in (columns, columns[:1], columns[:2], [runs._turned(group)[0], *runs._turned(group)[1]]):
        assert sum(runs._widths(some, width)) == measure(runs._table(some, width)).maximum
    for first, others in ((columns[0], columns[1:]), runs._turned(group)):
        parts = [len(part.columns) - 1 for part in runs._in_parts(first, others, width)]
        assert sum(parts) == len(others)
        for i, own in enumerate(parts):
            begin = sum(parts[:i])
            assert own == 1 or measure(runs._table([first, *others[begin : begin + own]], width)).maximum <= width
            more = [first, *others[begin : begin + own + 1]]
            assert begin + own == len(others) or measure(runs._table(more, width)).maximum > width


def test_a_hundred_runs_are_shown_at_once(ranking: Ranking) -> None:
    group = ranking.groups[0]
    many = tuple(replace(group.runs[i % 3], name=f"a-run-of-many-{i}") for i in range(100))
    keys = tuple(group.runs[0].settings)[:17]
    begin = time.process_time()
    lines = list(runs.runs_view(replace(ranking, groups=(replace(group, runs=many, keys=keys),)), 80))
    assert time.process_time() - begin < 2
    assert len(lines) > 10


def test_many_settings_have_a_row_each(ranking: Ranking) -> None:
    """Where a column each would not fit."""
    group = ranking.groups[0]
    keys = tuple(key for key in group.runs[0].settings if key.startswith("train."))
    lines = shown(replace(ranking, groups=(replace(group, keys=keys),)), 80)
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    rates = {run.name: str(run.settings["train.learning_rate"]) for run in group.runs}
    assert dict(zip(rows["setting"], rows["train.learning_rate"], strict=True)) == rates
    assert len([key for key in keys if key in rows]) == len(keys)
