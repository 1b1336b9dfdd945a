"""Stop strings, against cutting the whole text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import rnnlm
from rnnlm.errors import InputError
from rnnlm.sampling.stop import Stop
from rnnlm.text import tokenizers


def written(unit: str, tokens: Sequence[str], strings: Sequence[str], after: str = "") -> tuple[list[str], bool]:
    """What each token adds, as far as it is read, and the rest; whether a stop string was found."""
    stop = Stop(tokenizers.joiner(unit, after), strings)
    parts = []
    for token in tokens:
        parts.append(stop.add(token))
        if stop.found:
            break
    return [*parts, stop.rest()], stop.found


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.text("ab", max_size=12), st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3))
def test_a_text_ends_before_the_stop_string_that_is_whole_first(text: str, strings: list[str]) -> None:
    """One character at a time, so the string that ends first is found; what is given out is never cut."""
    ends = [text.find(string) + len(string) for string in strings if string in text]
    parts, found = written("char", text, strings)
    assert found == bool(ends)
    wanted = text
    if ends:
        read = text[: min(ends)]
        wanted = read[: min(read.find(string) for string in strings if string in read)]
    assert "".join(parts) == wanted


@pytest.mark.parametrize(
    ("tokens", "strings", "text"),
    [
        (["the", "catalogue", "ends"], ["log"], "the cata"),  # within a word
        (["the", "dog", "sees"], ["g s"], "the do"),  # across two
        (["the", "dog", "</s>", "a"], ["\n"], "the dog"),
        (["the", "dog", "</s>", "a"], ["\na"], "the dog"),
        (["the", "dog"], [" dog"], "the"),
        (["xabc", "b"], ["b", "abc"], "x"),  # of two in one word the first place
        (["the", "do"], ["dog", "o!"], "the do"),  # only begun
        (["dog"], ["the dog"], "dog"),  # the prompt is not counted
    ],
)
def test_words(tokens: list[str], strings: list[str], text: str) -> None:
    assert "".join(written("word", tokens, strings)[0]) == text


def test_a_word_model_whose_prompt_does_not_count() -> None:
    assert written("word", ["dog", "sees"], ["the dog", "e d"], after="the") == ([" dog", " sees", ""], False)


def test_bytes() -> None:
    """A stop string of several bytes, behind a character that is never completed."""
    tokens = [chr(byte) for byte in b"\xe2\x82" + "xé.".encode()]
    parts, found = written("byte", tokens, ["é"])
    assert ("".join(parts), found) == ("\ufffdx", True)
    parts, found = written("byte", [chr(0xE2), chr(0x82)], ["\ufffd"])
    assert ("".join(parts), found) == ("", True), "found when nothing more comes"


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
@pytest.mark.parametrize("strings", [("e",), ("d", "se"), (" s", "\n"), ("t",), ("never that",)])
def test_samples_are_those_without_a_stop_string_cut(
    runs: dict[str, Path], unit: str, strings: tuple[str, ...]
) -> None:
    model = rnnlm.load(runs[unit])
    whole = model.samples(6, "the", tokens=40, seed=3)
    stopped = model.samples(6, "the", tokens=40, seed=3, stop=strings)
    cut = 0
    for text, found in zip(whole, stopped, strict=True):
        text, found = text[3:], found[3:]
        assert text.startswith(found)
        assert not any(string in found for string in strings)
        if len(found) < len(text):
            cut += 1
            assert any(text.startswith(string, len(found)) for string in strings)
    assert cut == 0 if strings == ("never that",) else cut >= 4  # what is drawn depends on the processor's rounding


def test_the_tokens_of_a_stop_string_are_counted(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["char"])
    (found,) = model.sample_scored("the", tokens=60, seed=1, stop="s")
    assert found.tokens[-1] == "s"
    assert found.text == "the" + "".join(found.tokens[:-1])
    assert len(found.log_probabilities) == len(found.tokens)


def test_an_empty_stop_string(runs: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"^stop: found an empty string; must have at least one character$"):
        rnnlm.load(runs["char"]).sample(stop="")
