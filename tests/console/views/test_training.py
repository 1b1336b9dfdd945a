"""How training looks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from screen import ORIGIN

from rnnlm.console.views.training import (
    VALID_HEADING,
    end_view,
    sample_lines,
    start_line,
    updates_line,
    valid_line,
    valid_row,
)
from rnnlm.training.records import End, Start, TrainingSample, Updates, Valid

START = Start(20, 1, 3, 10, 30, 5000, 98816, 1, "float32", "train.precision", *ORIGIN)
UPDATES = Updates(22, 2, 500, 44.0, 1.5, 4.48, 1e5, 0.5, 2.25)
VALID = Valid(30, 3, 500, 75.0, 1.25, 3.49, 1e5, 0.5, 4.0, True)


def test_lines() -> None:
    assert start_line(START) == "98,816 parameters, 5,000 tokens an epoch in 10 updates, 3 epochs, 1 thread"
    figures = "perplexity 4.48 · 100,000 tokens/s · loss 1.500 · gradient 2.25 · rate 0.5"
    assert updates_line(UPDATES, START, UPDATES) == f"epoch 3 · update 22 of 30 · {figures}", "nothing to go by yet"
    first = replace(UPDATES, updates=2, seconds=UPDATES.seconds - 40)  # what was before was compiling
    assert updates_line(UPDATES, START, first) == f"epoch 3 · update 22 of 30 · 16 s left · {figures}"
    assert updates_line(UPDATES, None, None) == f"epoch 3 · update 22 · {figures}", "no time without a start"
    assert valid_line(VALID) == (
        "epoch 3 done · training perplexity 4.00 · validation perplexity 3.49 * (1.2500 nats a token) · 75 s"
    )


def test_a_row_stands_under_its_heading() -> None:
    row = valid_row(VALID)
    assert row.split() == ["3", "30", "4.00", "3.49", "*", "1.2500", "0.5", "75", "s"]
    assert len(row) == len(VALID_HEADING[1])


def test_the_end_has_the_curve_of_what_was_trained() -> None:
    end = End(30, 3, 5000, 75.0, "epochs", 3.49, "runs/x")
    lines = [str(line) for line in end_view(end, START, [2.0, 1.0])]
    assert len(lines) == 6 + 2
    assert lines[-2:] == [
        "          training loss, nats a token, over 10 updates",
        "all epochs done after 75 s, best validation perplexity 3.49; the run is in runs/x",
    ]
    assert len(list(end_view(end, START, []))) == len(list(end_view(end, START, [2.0]))) == 1, "no curve of one point"


@pytest.mark.parametrize(
    ("text", "lines"),
    [("a dog\n", ["a dog"]), ("", [""]), ("a\n\nb\u2028c\n\n", ["a", "", "b\u2028c", ""])],
)
def test_a_sample_stands_below_its_update(text: str, lines: list[str]) -> None:
    shown = [line.plain for line in sample_lines(TrainingSample(1500, 1, 500, 3.0, text))]
    assert shown == ["--- sample after update 1,500", *lines]


def test_a_validation_inside_an_epoch_says_where() -> None:
    inside = Valid(25, 2, 500, 3.0, 1.0, 2.7, 1e5, 0.1, 3.1, True, 0.5)
    assert valid_line(inside).startswith("epoch 3, 50% of it · update 25 · training perplexity 3.10 · ")
    assert valid_row(inside).startswith(" 2.50 ")
