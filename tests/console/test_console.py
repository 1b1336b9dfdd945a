"""What is printed, and where."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from screen import RUN, training

from rnnlm.console import Console, formats
from rnnlm.console.controls import Screen
from rnnlm.errors import RnnlmError
from rnnlm.sampling.records import Samples
from rnnlm.work import Note


def test_names_are_printed_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    """Brackets are no markup and colons no pictures."""
    shown = Console()
    shown.watch(training())
    shown.show([formats.table([("word", "left")], [("[bold]:dog:",)])])
    out, err = capfd.readouterr()
    assert f"the run is in {RUN}\n" in err
    assert "a [note] about :dog:\n" in err
    assert "[bold]:dog:" in out


def test_quiet_says_only_results(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> Iterator[Any]:
        yield from training()
        yield Samples(("one", "two"))

    Console(quiet=True).watch(work())
    out, err = capfd.readouterr()
    assert (out, err) == ("--- sample 1\none\n--- sample 2\ntwo\n", "")


def test_results_that_are_printed_as_json_are_not_drawn(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.watch(iter([Samples(("one",)), Note("done", warning=True)]), results=False)
    console.json({"samples": ["one"], "loss": float("nan"), "more": [float("inf"), {"x": -float("inf")}]})
    out, err = capfd.readouterr()
    assert out == '{"samples": ["one"], "loss": null, "more": [null, {"x": null}]}\n'
    assert err == "warning: done\n"


def test_json_is_ascii(capfd: pytest.CaptureFixture[str]) -> None:
    """So that it is JSON where standard output is not UTF-8."""
    words = ["né", "\u202e", "\U0001f600", "\x1b\t\x9b"]
    Console().json(words)
    out = capfd.readouterr().out
    assert out.isascii()
    assert json.loads(out) == words


def test_a_views_notes_are_messages(capfd: pytest.CaptureFixture[str]) -> None:
    Console().show(["a result", Note("a note")])
    assert capfd.readouterr() == ("a result\n", "a note\n")


def test_a_terminal_breaks_messages_between_words() -> None:
    words, path = "no such file; give the path of a text file " * 3, "/a/folder/text.txt"
    for terminal in (True, False):
        file = io.StringIO()
        console = Console(err=Screen(file=file, force_terminal=terminal, width=40, color_system=None))
        console.error(RnnlmError(f"{path}: {words}"))
        console.note(Note(words.strip(), warning=True))
        lines = file.getvalue().splitlines()
        assert (len(lines) == 2) != terminal
        assert " ".join(line.strip() for line in lines) == f"error: {path}: {words.strip()} warning: {words.strip()}"
        assert all(len(line) <= 40 for line in lines) == terminal
        console.error(RnnlmError("/a/long/folder" * 4 + ": " + words))
        assert len(file.getvalue().splitlines()) == len(lines) + 1
