"""Samples drawn while they are written."""

from __future__ import annotations

import pytest
from screen import drawn, terminal

from rnnlm.console import Console
from rnnlm.console.stream import stream
from rnnlm.sampling.records import Sample, Sampled
from rnnlm.work import Note


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("show", [True, False])
def test_a_stream_returns_what_it_shows(capfd: pytest.CaptureFixture[str], samples: int, show: bool) -> None:
    steps = [Sampled((token,) * samples, (f" {token}",) * samples) for token in "ab"]
    found = [Sample("the", f"sample {i}") for i in range(samples)]
    stream(Console(), iter([Note("a word"), *steps]), found, show=show)
    assert [sample.text for sample in found] == ["the a b"] * samples
    assert [sample.tokens for sample in found] == [["a", "b"]] * samples
    out, err = capfd.readouterr()
    assert err == "a word\n"
    assert out == ("".join(f"--- sample {i}\nthe a b\n" for i in range(samples)) if show else "")


def test_several_texts_grow_side_by_side_in_a_terminal() -> None:
    console, screen = terminal(80)
    work = iter([Sampled(("a", "b"), ("a", "b")), Sampled(("c", None), (" c", "")), Sampled(("d", None), (" d", ""))])
    found = [Sample("", "sample 1"), Sample("", "sample 2")]
    stream(console, work, found)
    assert [sample.text for sample in found] == ["a c d", "b"]
    lines = drawn(screen)
    assert "1: a c d" in lines, "while it was written"
    assert lines[-5:] == ["--- sample 1", "a c d", "--- sample 2", "b", ""]


def test_a_text_whose_last_step_adds_nothing_ends_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    """As where a stop string was held back."""
    stream(Console(), iter([Sampled(("a",), ("a",)), Sampled(("b",), ("",))]), [Sample("")])
    stream(Console(), iter([Sampled(("</s>",), ("\n",)), Sampled(("b",), ("",))]), [Sample("")])
    assert capfd.readouterr().out == "a\n\n"


def test_log_probabilities_below_each_text() -> None:
    """Line ends and control characters are spelled, so that a token is a line."""
    steps = [Sampled(("a", "\n"), ("a", "\n"), (-1.25, -0.5)), Sampled(("\x1b", None), ("\x1b", ""), (-2.5, 0.0))]
    console, screen = terminal(80)
    stream(console, iter(steps), [Sample("", "sample 1"), Sample("", "sample 2")], "char")
    lines = [line.rstrip() for line in drawn(screen)]
    assert lines[lines.index("--- sample 1") :] == [
        "--- sample 1", "a^[", "     log p  token", "   -1.2500  'a'", "   -2.5000  '\\x1b'",
        "   -3.7500  2 tokens together",
        "--- sample 2", "", "     log p  token", "   -0.5000  '\\n'", "   -0.5000  1 token together", "",
    ]  # fmt: skip
