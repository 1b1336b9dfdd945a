"""Lower case and literal special tokens, which must not depend on where a block ends."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading import characters, tokens

from rnnlm.errors import TextError
from rnnlm.text import files, tokenizers

SETTINGS = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_a_greek_word_ends_in_its_own_sigma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text.txt"
    path.write_text("ΣΟΦΟΣ ΟΔΟΣ", encoding="utf-8")
    for block in (1, 2, 3, 9, 10, 11, 1 << 20):
        monkeypatch.setattr(files, "_BLOCK", block)
        assert tokens(path, "word", lowercase=True) == ["σοφος", "οδος", "</s>"]
        assert "".join(tokens(path, "char", lowercase=True)) == "σοφοσ οδοσ"


@SETTINGS
@given(
    st.text(st.sampled_from(list("ΣσΑ'.́İǅß \n\r\u00a0"))),
    st.integers(1, 5),
    st.sampled_from(["word", "char", "byte"]),
)
def test_a_file_and_a_string_in_lower_case_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, block: int, unit: str
) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    monkeypatch.setattr(files, "_BLOCK", block)
    wanted = list(tokenizers.split(text, unit, True))
    if unit == "word" and text and not text.endswith("\n"):
        wanted.append("</s>")
    assert tokens(path, unit, lowercase=True) == wanted
    assert characters(path, unit) == len(text if unit == "byte" else text.replace("\r\n", "\n"))


def test_lower_case_of_a_character_is_its_own() -> None:
    every = [chr(i) for i in range(sys.maxunicode + 1) if not 0xD800 <= i < 0xE000 and chr(i) != "\r"]
    assert tokenizers.split("".join(every), "char", True) == "".join(map(str.lower, every))


def test_lower_case_of_bytes_touches_ascii_alone() -> None:
    raw = bytes(range(256)).decode("latin-1").encode().decode("latin-1")
    assert (
        tokenizers.split(bytes(range(256)).decode("latin-1"), "byte", True).encode("latin-1")
        == raw.encode("latin-1").lower()
    )


@pytest.mark.parametrize(
    ("text", "lowercase", "line"),
    [
        ("</s>", False, 1),
        ("a\nb </s>\n", False, 2),
        ("a\r\n\r\n</s> b", False, 3),
        ("a\u00a0</s>\u2028b", False, 1),
        ("a\n</S> b\n", True, 2),
        ("a\n</S> b\n", False, None),
        ("a</s> </s>b </s></s> <s> <unk> <UNK>\n", False, None),
        ("a</s> </S>b </s></s> <s> <unk> <UNK>\n", True, None),
    ],
)
def test_a_literal_line_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, lowercase: bool, line: int | None
) -> None:
    """It would end lines that do not end. Characters and bytes have no special token that a text could spell."""
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8", newline="")
    for block in (1, 2, 3, 5, 1 << 20):
        monkeypatch.setattr(files, "_BLOCK", block)
        if line is None:
            assert tokens(path, "word", lowercase).count("</s>") == text.count("\n")
        else:
            with pytest.raises(TextError, match=rf"text.txt:{line}: found the word </[sS]>, the line end's own"):
                tokens(path, "word", lowercase)
        assert len(tokens(path, "char", lowercase)) == len(text.replace("\r\n", "\n"))
    if line is not None:
        with pytest.raises(TextError, match=rf"here:{line}: found the word"):
            tokenizers.split(text, "word", lowercase, "here")
