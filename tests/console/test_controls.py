"""Control characters: visible in a terminal, as they are in files and pipes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from screen import terminal

from rnnlm.console import Console, formats
from rnnlm.console.controls import visible
from rnnlm.console.stream import stream
from rnnlm.console.views.inspection import inspection_view
from rnnlm.errors import InputError
from rnnlm.sampling.records import Sample, Sampled, Samples
from rnnlm.work import Note

# A title for the window, a bell, a carriage return, C1's escape sequence, a reversal of the direction.
HOSTILE = "a\tb\n\x1b]0;title\x07\r\x9b31mé\u202eabc\u2066\x7f\0😀\u200dא"
SHOWN = "a\tb\n^[]0;title^G^M<U+009B>31mé<U+202E>abc<U+2066>^?^@😀\u200dא"


def test_controls_are_shown_as_less_shows_them() -> None:
    assert visible(HOSTILE) == SHOWN
    assert visible(SHOWN) == SHOWN, "once is enough"
    assert visible("שלום नमस्ते 👨\u200d👩 \t\n") == "שלום नमस्ते 👨\u200d👩 \t\n"


def _written(console: Console, texts: int) -> None:
    """One sample or several, token by token, as ``rnnlm sample`` writes them."""
    work = iter([Sampled((token,) * texts, (token,) * texts) for token in HOSTILE])
    found = [Sample("") for _ in range(texts)]
    stream(console, work, found)
    assert [sample.text for sample in found] == [HOSTILE] * texts


@pytest.mark.parametrize("texts", [1, 2])
def test_a_pipe_gets_samples_as_the_model_wrote_them(capfdbinary: Any, texts: int) -> None:
    _written(Console(), texts)
    out = capfdbinary.readouterr().out.decode()
    assert out.count(HOSTILE + "\n") == texts
    Console().watch(iter([Samples((HOSTILE,) * texts)]))
    assert capfdbinary.readouterr().out.decode().count(HOSTILE + "\n") == texts


def test_json_has_the_text_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    Console().json({"samples": [HOSTILE]})
    assert json.loads(capfd.readouterr().out) == {"samples": [HOSTILE]}


@pytest.mark.parametrize("texts", [1, 2])
def test_a_terminal_gets_samples_with_visible_controls(texts: int) -> None:
    console, screen = terminal(200)
    _written(console, texts)
    assert screen.getvalue().endswith(SHOWN + "\n")
    assert not set("\x07\x9b\u202e\u2066\x7f\0") & set(screen.getvalue()), "nor while they grow"
    assert "\x1b]" not in screen.getvalue()


def test_nothing_of_a_model_reaches_a_terminal_raw() -> None:
    """Samples after training, words, messages, paths, tables and errors."""
    console, screen = terminal(200)
    word = "\x1b]0;title\x07\u202ew\x9b"
    console.watch(iter([Samples((word,)), Note(word), Note(word, warning=True)]))
    console.show([formats.table([(word, "left")], [(word,)]), *formats.facts([("name", word)], 10)])
    console.line(word)
    console.error(InputError(word))
    inspected = {
        "path": word, "parameters": 1, "vocabulary": 1, "most_frequent": [word],
            "initial_state": word, "config": {"data": {"train": word}},
        "training": {"epoch": 1, "updates": 1, "version": word},
        "tensors": {word: {"shape": [1], "type": word, "norm": 1.0, "largest": 1.0}},
    }  # fmt: skip
    console.show(inspection_view(inspected, 200))
    raw = screen.getvalue()
    assert raw.count("^[]0;title") >= 10
    assert not {"\x1b]", "\x07", "\u202e", "\x9b"} & {raw[i : i + n] for n in (1, 2) for i in range(len(raw))}
