"""How runs side by side look on a narrow screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

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
