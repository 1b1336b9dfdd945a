"""What is drawn: in a terminal, and where there is none."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console as RichConsole

from rnnlm.console import Console, formats
from rnnlm.evaluation.records import Evaluation
from rnnlm.sampling.records import Samples
from rnnlm.text import tokenizers
from rnnlm.training.records import End, Start, Step, Valid
from rnnlm.work import Note, Progress

RUN = "runs/[bold]x:dog:"


def training(epochs: int = 3) -> Iterator[Any]:
    """The records of a run whose figures are as wide as they get."""
    yield Progress("vocabulary", 2e6, 2e6, "bytes")
    yield Start(0, 0, epochs, 10, 10 * epochs, 5000, 98816, 2)
    for epoch in range(epochs):
        yield Step(10 * epoch + 5, epoch, 500, 60.0 * epoch + 1, 9.1, 8955.3, 123456.0, 2.5e-05, 12.345)
        loss = 9 - epoch
        best = epoch < 2
        yield Valid(10 * epoch + 10, epoch + 1, 500, 3700.0 * epoch, loss, 8103.1, 1e5, 9.77e-07, 10_103.1, best)
    yield End(10 * epochs, epochs, 5000, 75.0, "patience", 1096.6, RUN)
    yield Note("a [note] about :dog:")
    return {"reason": "patience"}


def in_terminal(width: int, work: Iterator[Any]) -> list[str]:
    """The lines that a terminal gets, the states of the bars too, without their control sequences."""
    shown = Console()
    stream = io.StringIO()
    shown.err = shown.out = RichConsole(
        file=stream, force_terminal=True, width=width, soft_wrap=True, highlight=False, markup=False, emoji=False,
        color_system="standard", _environ={},
    )  # fmt: skip

    def drawn() -> Iterator[Any]:
        for record in work:
            yield record
            if shown._bars is not None:
                shown._bars.refresh()  # now, not at the next eighth of a second

    shown.watch(drawn())
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).replace("\r", "\n").split("\n")


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
    assert any("epoch 60 of 60" in line for line in lines)
    assert sum("8,103.10" in line for line in lines) == 60, "each row once"


@pytest.mark.parametrize("width", [80, 120])
def test_the_bar_does_not_give_way(width: int) -> None:
    bars = [line for line in in_terminal(width, training()) if line.startswith("epoch 2 of 3")]
    assert bars
    for bar in bars:
        assert len(bar) <= width - 2, "room for ^C"
        assert sum(bar.count(mark) for mark in "━╸╺") == 20
        assert "50% " in bar
        assert "perplexity 8,955.30" in bar
        assert ("gradient" in bar) == (width == 120)


def test_names_are_printed_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    """Brackets are no markup and colons no pictures."""
    shown = Console()
    shown.watch(training())
    shown.table(None, [("word", "left")], [("[bold]:dog:",)])
    out, err = capfd.readouterr()
    assert f"the run is in {RUN}\n" in err
    assert "a [note] about :dog:\n" in err
    assert "[bold]:dog:" in out


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
    assert "epoch 1 · update 5 of 30 · 5.0 s left · perplexity 8,955.30 · 123,456 tokens/s · loss 9.100" in err
    assert "epoch 2 done · training perplexity 10,103.10 · validation perplexity 8,103.10 *" in err
    assert "validation has not improved for train.patience epochs after 75 s, best validation perplexity" in err


def test_quiet_says_only_results(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> Iterator[Any]:
        yield from training()
        yield Samples(("one", "two"))

    Console(quiet=True).watch(work())
    out, err = capfd.readouterr()
    assert (out, err) == ("--- sample 1\none\n--- sample 2\ntwo\n", "")


def test_an_interrupted_task_leaves_the_terminal_whole() -> None:
    """The cursor comes back and the bars are gone, whatever ends the work."""

    def work() -> Iterator[Any]:
        yield Progress("counting", 1, 2, "bytes")
        raise KeyboardInterrupt

    shown = Console()
    stream = io.StringIO()
    shown.err = RichConsole(file=stream, force_terminal=True, width=80, _environ={})
    with pytest.raises(KeyboardInterrupt):
        shown.watch(work())
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")


def evaluation(**changes: Any) -> Evaluation:
    values: dict[str, Any] = {
        "perplexity": 120.5, "perplexity_without_unk": 110.25, "tokens": 2000,
        "unknown": 50, "line_ends": 100, "characters": 9000, "bits_per_token": 6.9128, "bits_per_character": 1.5362,
        "state": "reset", "seconds": 0.5, "tokens_per_second": 4000.0,
    }  # fmt: skip
    return Evaluation(**(values | changes))


def test_an_evaluation_says_what_it_stands_on(capfd: pytest.CaptureFixture[str]) -> None:
    Console().evaluation(evaluation(lowest_perplexity=100.0), "test.txt")
    lines = capfd.readouterr().out.splitlines()
    assert len({len(line) - len(line.split("   ", 1)[1].lstrip()) for line in lines}) == 1, "values in one column"
    assert [tuple(part.strip() for part in line.split("   ", 1)) for line in lines[:6]] == [
        ("text", "test.txt"),
        ("perplexity", "120.50"),
        ("lowest possible perplexity", "100.00   (this model: +20.5%)"),
        ("perplexity without unknown tokens", "110.25"),
        ("tokens scored", "2,000   (line ends counted: 100)"),
        ("unknown tokens", "50   (2.50%)"),
    ]


def test_figures_that_are_not_finite(capfd: pytest.CaptureFixture[str]) -> None:
    infinite = evaluation(perplexity=float("inf"), perplexity_without_unk=None)
    Console().evaluation(infinite)
    Console().json(infinite.json())
    out = capfd.readouterr().out
    assert "perplexity                          inf\n" in out
    assert "none is known" in out
    assert '"perplexity": null' in out


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


def test_a_configuration_breaks_between_its_keys() -> None:
    shown = Console()
    shown.out = RichConsole(file=io.StringIO(), force_terminal=True, width=40, _environ={})
    parts = [f"key{i}: [0.9, {i}]" for i in range(6)]
    lines = shown._hanging("train", parts).split("\n")
    assert len(lines) > 1
    assert all(len(line) <= 40 for line in lines)
    assert all(any(part in line for line in lines) for part in parts)
    assert all(line.startswith(" " * 12 + "key") for line in lines[1:])
    shown.out = RichConsole(file=io.StringIO(), width=40, _environ={})
    assert "\n" not in shown._hanging("train", parts), "a line a section for grep"


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("show", [True, False])
def test_a_stream_returns_what_it_shows(capfd: pytest.CaptureFixture[str], samples: int, show: bool) -> None:
    from rnnlm.sampling.records import Sampled

    work = iter([Note("a word"), Sampled(("a",) * samples), Sampled(("b",) * samples)])
    texts = Console().stream(work, "the", [tokenizers.joiner("word", "the") for _ in range(samples)], show)
    assert texts == ["the a b"] * samples
    out, err = capfd.readouterr()
    assert err == "a word\n"
    assert out.count("the a b\n") == (samples if show else 0)
