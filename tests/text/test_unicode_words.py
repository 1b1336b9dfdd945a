"""Words with punctuation apart: the tokens, and the text that comes back from them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from reading import build

from rnnlm.errors import InputError, TextError
from rnnlm.text import files, tokenizers, vocabulary
from rnnlm.text.tokenizers import unicode_words
from rnnlm.text.vocabulary import Vocabulary

pytest.importorskip("regex")

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = st.text(
    st.one_of(st.sampled_from(list("ab'.,-\"(￭␛12 \n\r\t_€中文ｱ\u0301\u200d\u00a0")), st.characters(codec="utf-8"))
)


def split(text: str, lowercase: bool = False) -> list[str]:
    return list(tokenizers.split(text, "word", lowercase, tokenizer="unicode"))


def from_file(path: Path, lowercase: bool) -> list[str]:
    return [token for piece in tokenizers.pieces(path, "word", lowercase, "unicode") for token in piece.tokens]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ('He said: "It\'s well-known."', 'He said ￭: "￭ It\'s well ￭-￭ known ￭. ￭"'),
        ("don't don’t 3.14 U.S. $5.00 foo_bar e.g.", "don't don’t 3.14 U.S ￭. $￭ 5.00 foo_bar e.g ￭."),
        ("(ok) ... a/b #tag 50%", "(￭ ok ￭) . ￭. ￭. a ￭/￭ b #￭ tag 50 ￭%"),
        ("中文 한국어는 e\u0301tude", "中 ￭文 한국어는 e\u0301tude"),
        ("<unk> <unk>, x<unk>", "<unk> <￭ unk ￭> ￭, x ￭<￭ unk ￭>"),
        ("￭ a￭b ␛2 ￭,", "␛2 a ￭␛2￭ b ␛1￭ 2 ␛2 ￭,"),
        ("a\n\nb", "a </s> </s> b"),
    ],
)
def test_tokens(text: str, tokens: str) -> None:
    assert split(text) == tokens.split(" ")


@SETTINGS
@given(TEXT)
@example("￭␛￭ ␛1 ␛2 ␛￭2\n￭")
def test_the_text_comes_back_with_single_spaces(text: str) -> None:
    lines = text.replace("\r\n", "\n").split("\n")
    wanted = "\n".join(" ".join(line.split()) for line in lines)
    assert tokenizers.join(split(text), "word", "unicode") == wanted


@SETTINGS
@given(TEXT, st.integers(1, 5), st.booleans())
@example("a\n ", 1, False)
@example("\n\r", 1, False)
def test_a_file_is_cut_like_a_string_wherever_a_block_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, block: int, lowercase: bool
) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    monkeypatch.setattr(files, "_BLOCK", block)
    text = text.removeprefix("\ufeff")
    tokens = split(text, lowercase)
    assert from_file(path, lowercase) == (list(tokenizers.with_line_end(tokens, text, "word")) if text else [])


@SETTINGS
@given(TEXT)
def test_a_word_is_cut_by_itself(text: str) -> None:
    """So what stands between white space has the tokens that it has alone: ``score --by word`` counts on that."""
    assert split(" ".join(text.split())) == [token for word in text.split() for token in split(word)]


def test_long_words_are_cut_as_short_ones() -> None:
    word = "a-" * 100
    assert split(word) == ["a", *(["￭-￭", "a"] * 99), "￭-"]


def test_what_is_sampled_goes_on_where_the_prompt_ends() -> None:
    for prompt, wanted in (("", "a, b"), ("x", "x a, b"), ("x ", "x a, b"), ("x\n", "x\na, b")):
        joiner = tokenizers.joiner("word", prompt, "unicode")
        assert prompt + "".join(map(joiner.add, ["a", "￭,", "b"])) + joiner.rest() == wanted
    joiner = tokenizers.joiner("word", "He said", "unicode")
    assert "".join(map(joiner.add, ["￭:", '"￭', "no", "￭.", '￭"', "</s>", "So", "<unk>"])) == ': "no."\nSo <unk>'


def test_a_literal_line_end_is_refused() -> None:
    with pytest.raises(TextError, match=r"text:2: found the word </s>"):
        split("a\nb </s>")
    assert split("a</s>") == ["a", "￭<", "￭/￭", "s", "￭>"]


def test_the_vocabulary_is_written_and_read_and_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text('say "no", and "no" again.\n')
    words = build(tmp_path / "text.txt", "word", tokenizer="unicode")
    assert {token: int(count) for token, count in zip(words.tokens, words.counts, strict=True) if count > 1} == {
        "no": 2, '"￭': 2, '￭"': 2,
    }  # fmt: skip
    words.save(tmp_path / "vocab.txt")
    again = vocabulary.load(tmp_path / "vocab.txt", "word", False, "unicode")
    assert (again.tokens, again.counts.tolist()) == (words.tokens, words.counts.tolist())
    assert again.hash() == words.hash() != Vocabulary(words.tokens, words.counts, "word", False).hash()
    assert words.decode(words.encode(words.split('say "no"'))) == 'say "no"'
    assert [words.bare(i) for i in range(len(words)) if "￭" in words.tokens[i]] == ['"', '"', ",", "."]


def test_without_the_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    unicode_words._boundaries.cache_clear()
    monkeypatch.setitem(sys.modules, "regex", None)
    with pytest.raises(InputError, match=r"the package regex, which data.tokenizer: unicode needs.*\[unicode\]"):
        split("a b")
    monkeypatch.undo()
    assert split("a b") == ["a", "b"]
