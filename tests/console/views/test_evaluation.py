"""How an evaluation looks."""

from __future__ import annotations

from typing import Any

import pytest

from rnnlm.console import Console
from rnnlm.console.views.evaluation import evaluation_view
from rnnlm.evaluation.records import Baseline, Evaluation


def evaluation(**changes: Any) -> Evaluation:
    values: dict[str, Any] = {
        "perplexity": 120.5, "perplexity_without_unk": 110.25, "tokens": 2000,
        "unknown": 50, "line_ends": 100, "characters": 9000, "bits_per_token": 6.9128, "bits_per_character": 1.5362,
        "comparable": False, "state": "reset", "seconds": 0.5, "tokens_per_second": 4000.0,
    }  # fmt: skip
    return Evaluation(**(values | changes))


def test_an_evaluation_says_what_it_stands_on(capfd: pytest.CaptureFixture[str]) -> None:
    found = evaluation(lowest_perplexity=100.0, baseline=Baseline(5, 241.0))
    Console().show(evaluation_view(found, "test.txt"))
    lines = capfd.readouterr().out.splitlines()[:-1]
    assert len({len(line) - len(line.split("   ", 1)[1].lstrip()) for line in lines}) == 1, "values in one column"
    assert [tuple(part.strip() for part in line.split("   ", 1)) for line in lines[:7]] == [
        ("text", "test.txt"),
        ("perplexity", "120.50"),
        ("lowest possible perplexity", "100.00   (this model: +20.5%)"),
        ("5-gram model of its training text", "241.00   (this model: -50.0%)"),
        ("perplexity without unknown tokens", "110.25"),
        ("tokens scored", "2,000   (line ends counted: 100)"),
        ("unknown tokens", "50   (2.50%)"),
    ]


def test_where_unk_means_nothing_known_tokens_are_compared() -> None:
    found = evaluation(baseline=Baseline(5, 241.0, 220.5), unk_untrained=True)
    lines = [str(line) for line in evaluation_view(found)]
    row = "5-gram model of its training text   220.50 without unknown tokens   (this model: -50.0%)"
    assert row in lines


@pytest.mark.parametrize(
    ("unknown", "why"), [(50, "50 tokens were scored as <unk>"), (0, "it was scored in lower case")]
)
def test_bits_that_cannot_be_compared_are_marked(unknown: int, why: str) -> None:
    name = "bits a character of the raw text"
    lines = [str(line) for line in evaluation_view(evaluation(unknown=unknown, comparable=False))]
    assert f"{name}    1.5362 *   (9,000 characters)" in lines
    assert lines[-1] == f"* not to be compared with other models' bits: {why}"
    lines = [str(line) for line in evaluation_view(evaluation(unknown=0, comparable=True))]
    assert f"{name}    1.5362   (9,000 characters)" in lines
    assert "*" not in "".join(lines)


def test_figures_that_are_not_finite(capfd: pytest.CaptureFixture[str]) -> None:
    infinite = evaluation(perplexity=float("inf"), perplexity_without_unk=None)
    Console().show(evaluation_view(infinite))
    Console().json(infinite.json())
    out = capfd.readouterr().out
    assert "perplexity                          inf\n" in out
    assert "none is known" in out
    assert '"perplexity": null' in out
