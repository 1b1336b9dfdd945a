"""Samples drawn while they are written."""

from __future__ import annotations

import pytest
from screen import drawn, terminal

from rnnlm.console import Console
from rnnlm.console.stream import stream
from rnnlm.sampling.records import Sampled
from rnnlm.text import tokenizers
from rnnlm.work import Note


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("show", [True, False])
def test_a_stream_returns_what_it_shows(capfd: pytest.CaptureFixture[str], samples: int, show: bool) -> None:
    work = iter([Note("a word"), Sampled(("a",) * samples), Sampled(("b",) * samples)])
    texts = stream(Console(), work, "the", [tokenizers.joiner("word", "the") for _ in range(samples)], show)
    assert texts == ["the a b"] * samples
    out, err = capfd.readouterr()
    assert err == "a word\n"
    assert out.count("the a b\n") == (samples if show else 0)


def test_several_texts_grow_side_by_side_in_a_terminal() -> None:
    console, screen = terminal(80)
    work = iter([Sampled(("a", "b")), Sampled(("c", None)), Sampled(("d", None))])
    texts = stream(console, work, "", [tokenizers.joiner("word", "") for _ in range(2)])
    assert texts == ["a c d", "b"]
    lines = drawn(screen)
    assert "1: a c d" in lines, "while it was written"
    assert lines[-5:] == ["--- sample 1", "a c d", "--- sample 2", "b", ""]
