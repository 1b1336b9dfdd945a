"""Progress of tasks and of training: bars in a terminal, plain lines where there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from screen import in_terminal, terminal, training

from rnnlm.console import Console
from rnnlm.training.records import End, TrainingSample, Valid
from rnnlm.work import Progress


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_of_validations_is_aligned_within_80_columns(width: int) -> None:
    lines = in_terminal(width, training())
    rows = [line for line in lines if re.search(r"(^epoch .* time|10,103.10 .*(s|min))$", line)]
    assert len(rows) == 4
    assert {len(row) for row in rows} == {77}
    assert [row.endswith("1 h 01 min") for row in rows] == [False, False, True, False]
    assert sum("8,103.10 *" in row for row in rows) == 2, "the last epoch was no best one"
    heading = next(line for line in lines if line.startswith("* best so far"))
    for above, below in (("training", "perplexity"), ("validation", "perplexity"), ("learning", "rate")):
        end = heading.index(above) + len(above)
        assert rows[0][:end].endswith(below), "one above the other, to the right"


def test_a_long_run_keeps_its_bar_in_sight() -> None:
    """A table in the part that is drawn over would push the bar off a screen of 25 lines."""
    lines = in_terminal(80, training(epochs=60))
    assert any("59.50 of 60 epochs" in line for line in lines)
    assert sum("8,103.10" in line for line in lines) == 60, "each row once"


@pytest.mark.parametrize("width", [80, 120])
def test_the_bar_and_the_speed_do_not_give_way(width: int) -> None:
    bars = [line for line in in_terminal(width, training()) if line.startswith("1.50 of 3 epochs")]
    assert bars
    for bar in bars:
        assert len(bar) <= width - 2, "room for ^C"
        assert sum(bar.count(mark) for mark in "━╸╺") == 8
        assert "%" not in bar, "it would read as the epoch's"
        assert "perplexity 8,955.30 · 123,456 tokens/s" in bar
        assert ("gradient" in bar) == (width == 120)


def test_an_interrupted_run_says_how_it_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    Console().watch(iter([End(800, 1, 5000, 5.1, "interrupted", None, "runs/x")]))
    line = "stopped; --resume goes on from here (after 5.1 s); the run is in runs/x\n"
    assert capfd.readouterr().err == line


def test_plain_lines_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert Console().watch(training()) == {"reason": "patience"}
    out, err = capfd.readouterr()
    assert out == ""
    assert "\x1b" not in err
    assert "98,816 parameters, 5,000 tokens an epoch in 10 updates, 3 epochs, 2 threads\n" in err
    assert "epoch 1 · update 5 of 30 · perplexity 8,955.30 · 123,456 tokens/s · loss 9.100" in err
    assert "epoch 2 done · training perplexity 10,103.10 · validation perplexity 8,103.10 *" in err
    assert "validation has not improved for train.patience validations after 75 s, best validation perplexity" in err


def test_an_interrupted_task_leaves_the_terminal_whole() -> None:
    """The cursor comes back and the bars are gone, whatever ends the work."""

    def work() -> Iterator[Any]:
        yield Progress("counting", 1, 2, "bytes")
        raise KeyboardInterrupt

    console, stream = terminal(80)
    with pytest.raises(KeyboardInterrupt):
        console.watch(work())
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")


def test_a_sample_stands_between_the_rows_with_its_controls_visible() -> None:
    def work() -> Iterator[Any]:
        records = iter(training())
        for record in records:
            yield record
            if isinstance(record, Valid) and record.epoch == 1:
                yield TrainingSample(10, 1, 500, 3.0, "a \x1b[2Jdog\nsleeps [bold]\n")
        return {"reason": "patience"}

    lines = in_terminal(80, work())
    first, second = (next(i for i, line in enumerate(lines) if line.lstrip().startswith(e)) for e in ("1  ", "2  "))
    kept = [line for line in lines[first:second] if line.strip() and "epochs" not in line]
    assert kept[1:] == ["--- sample after update 10", "a ^[[2Jdog", "sleeps [bold]"]


def test_quiet_shows_no_samples(capfd: pytest.CaptureFixture[str]) -> None:
    Console(quiet=True).draw(TrainingSample(10, 1, 500, 3.0, "a dog"))
    assert capfd.readouterr() == ("", "")
    Console().draw(TrainingSample(10, 1, 500, 3.0, "a dog"))
    assert capfd.readouterr() == ("", "--- sample after update 10\na dog\n")
