"""The perplexity of a text, and all that it stands on."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import oracle
import pytest

import rnnlm
from rnnlm.errors import TextError
from rnnlm.work import Note

TEXT = "the dog sees the zebra\na bird sings\n\nthe <unk> sleep"


@pytest.fixture(scope="module")
def model(runs: dict[str, Path]) -> rnnlm.LanguageModel:
    return rnnlm.load(runs["word"])


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_the_three_ways_to_ask_agree_with_the_oracle(model: rnnlm.LanguageModel, state: str, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    ids = [model.vocabulary.id(w) for w in TEXT.replace("\n", " </s> ").replace("zebra", "<unk>").split()]
    ids.append(model.vocabulary.line_end)
    weights = {name: value.astype(np.float64) for name, value in model.parameters.items()}
    log_probability = oracle.log_probabilities(
        weights, np.array(ids), model.vocabulary.line_end, "tanh", state, model.trained.initial
    )
    found = model.evaluate(path=path, state=state)
    assert found.perplexity == pytest.approx(math.exp(-log_probability.mean()), rel=1e-5)
    assert model.perplexity(TEXT, state) == pytest.approx(found.perplexity, rel=1e-9)
    scores = model.surprisal(TEXT, state)
    np.testing.assert_allclose([s.surprisal for s in scores], -log_probability / math.log(2), rtol=1e-4)
    assert (found.tokens, found.unknown, found.line_ends, found.characters) == (len(ids), 1, 4, len(TEXT))
    assert found.bits_per_character == pytest.approx(-log_probability.sum() / math.log(2) / len(TEXT), rel=1e-5)
    known = np.array([s.token != "zebra" for s in scores])
    assert found.perplexity_without_unk == pytest.approx(math.exp(-log_probability[known].mean()), rel=1e-5)


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_gzip_and_plain_files_score_the_same(runs: dict[str, Path], unit: str, tmp_path: Path) -> None:
    model = rnnlm.load(runs[unit])
    plain, packed = tmp_path / "text.txt", tmp_path / "text.gz"
    plain.write_text("the dog sings\n" * 5)
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert model.evaluate(path=plain).perplexity == model.evaluate(path=packed).perplexity


def test_bits_per_character_compare_units(runs: dict[str, Path]) -> None:
    """Characters of plain ASCII: a character model's bits a token are its bits a character."""
    for unit in ("char", "byte"):
        found = rnnlm.load(runs[unit]).evaluate(text="the dog sees the cat\n")
        assert found.bits_per_character == found.bits_per_token
    found = rnnlm.load(runs["byte"]).evaluate(text="é\n")
    assert (found.tokens, found.characters) == (3, 2)


def test_a_text_of_unknown_words(model: rnnlm.LanguageModel, tmp_path: Path) -> None:
    """More than half of them is worth a warning with the figure; less than 1% known is refused."""
    path = tmp_path / "text.txt"
    path.write_text("der Hund bellt laut\n" * 3)
    task = model.evaluating(path=path)
    notes = [record.text for record in task if isinstance(record, Note) and record.warning]
    question = "of its tokens are not in the vocabulary; is it the same language, unit and lower case"
    assert len(notes) == 1
    assert notes[0].startswith(f"{path}: 80.0% {question}")
    assert model.evaluate(path=path).unknown == 12
    assert model.perplexity("zebra") > 1
    path.write_text("der Hund bellt laut " * 25 + "\n")
    with pytest.raises(TextError, match=f"text.txt: 99.0% {question}"):
        model.evaluate(path=path)


def test_unknown_words_without_an_unk_in_training_are_worth_a_word(model: rnnlm.LanguageModel) -> None:
    found = model.evaluate(text=TEXT)
    assert any("<unk> never stood in the training text" in note for note in found.notes)
    assert model.evaluate(text="a bird sings").notes == ()


def test_an_empty_text(model: rnnlm.LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(TextError, match=r"empty.txt: empty"):
        model.evaluate(path=tmp_path / "empty.txt")


def test_a_line_of_a_megabyte(runs: dict[str, Path], tmp_path: Path) -> None:
    """Longer than a block of the file: no word is cut, and there is one line end."""
    words = 250_000
    path = tmp_path / "long.txt"
    path.write_text("cats see dogs the " * (words // 4))
    assert path.stat().st_size > 1 << 20
    found = rnnlm.load(runs["word"], 1).evaluate(path=path, state="reset")
    assert (found.tokens, found.unknown, found.line_ends) == (words + 1, 0, 1)
    assert found.characters == path.stat().st_size


@pytest.mark.parametrize(
    ("text", "lowercase", "comparable"),
    [("the dog sees the zebra\n", False, False), ("the dog sees the cat\n", True, False), ("the cat\n", False, True)],
)
def test_bits_a_character_are_comparable_where_each_token_is_scored_as_itself(
    runs: dict[str, Path], text: str, lowercase: bool, comparable: bool
) -> None:
    model = rnnlm.load(runs["word"])
    model.vocabulary.lowercase = lowercase
    found = model.evaluate(text=text)
    assert found.comparable is comparable
    assert found.json()["comparable"] is comparable
