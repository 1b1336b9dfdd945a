"""What ``rnnlm eval`` and the Python functions say about a text."""

from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path

import numpy as np
import oracle
import pytest

import rnnlm
from rnnlm.errors import InputError, TextError
from rnnlm.evaluation.perplexity import PER_TOKEN_COLUMNS

TEXT = "the dog sees the zebra\na bird sings\n\nthe <unk> sleep"


@pytest.fixture(scope="module")
def model(runs: dict[str, Path]) -> rnnlm.LanguageModel:
    return rnnlm.load(runs["word"])


def drain(work: object) -> object:
    try:
        while True:
            next(work)  # type: ignore[call-overload]
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_the_three_ways_to_ask_agree_with_the_oracle(model: rnnlm.LanguageModel, state: str, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    ids = [model.vocabulary.id(w) for w in TEXT.replace("\n", " </s> ").replace("zebra", "<unk>").split()]
    ids.append(model.vocabulary.line_end)
    weights = {name: value.astype(np.float64) for name, value in model.parameters.items()}
    log_probability = oracle.log_probabilities(weights, np.array(ids), model.vocabulary.line_end, "tanh", state=state)
    found = model.evaluate(path, state)
    assert found.perplexity == pytest.approx(math.exp(-log_probability.mean()), rel=1e-5)
    assert model.perplexity(TEXT, state) == pytest.approx(found.perplexity, rel=1e-9)
    scores = model.surprisal(TEXT, state)
    np.testing.assert_allclose([s.surprisal for s in scores], -log_probability / math.log(2), rtol=1e-4)
    assert (found.tokens, found.unknown, found.line_ends, found.characters) == (len(ids), 1, 4, len(TEXT))
    assert found.bits_per_character == pytest.approx(-log_probability.sum() / math.log(2) / len(TEXT), rel=1e-5)
    known = np.array([s.token != "zebra" for s in scores])
    assert found.perplexity_without_unk == pytest.approx(math.exp(-log_probability[known].mean()), rel=1e-5)


def test_the_table_of_tokens(model: rnnlm.LanguageModel, tmp_path: Path) -> None:
    text, table = tmp_path / "text.txt", tmp_path / "tokens.tsv"
    text.write_text(TEXT)
    found = drain(model.evaluating(text, per_token=table))
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert tuple(rows[0]) == PER_TOKEN_COLUMNS
    words = [*TEXT.replace("\n", " </s> ").split(), "</s>"]
    assert [row["token"] for row in rows] == words, "the text's own words, the first and every line end included"
    assert [int(row["position"]) for row in rows] == list(range(1, len(words) + 1))
    assert [int(row["line"]) for row in rows] == [1] * 6 + [2] * 4 + [3] + [4] * 4
    assert [row["token"] for row in rows if row["is_unk"] == "1"] == ["zebra"], "a literal <unk> is a word"
    nats = [float(row["log_probability"]) for row in rows]
    assert math.exp(-sum(nats) / len(nats)) == pytest.approx(found.perplexity, rel=1e-5)
    for row in rows:
        assert float(row["surprisal_bits"]) == pytest.approx(-float(row["log_probability"]) / math.log(2), abs=1e-5)
        assert 1 <= int(row["rank"]) <= len(model.vocabulary)
        assert 0 < float(row["entropy_bits"]) <= math.log2(len(model.vocabulary))


def test_tokens_that_would_not_show_are_escaped(runs: dict[str, Path], tmp_path: Path) -> None:
    text, table = tmp_path / "text.txt", tmp_path / "tokens.tsv"
    text.write_text("a b\t\\\n")
    model = rnnlm.load(runs["char"])
    with pytest.raises(TextError):
        drain(model.evaluating(tmp_path / "nowhere", per_token=table))
    assert not table.exists()
    drain(model.evaluating(text, per_token=table))
    lines = table.read_text(encoding="utf-8").splitlines()[1:]
    assert [line.split("\t")[2] for line in lines] == [
        "a",
        " ".encode("unicode_escape").decode(),
        "b",
        "\\t",
        "\\\\",
        "\\n",
    ]


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_gzip_and_plain_files_score_the_same(runs: dict[str, Path], unit: str, tmp_path: Path) -> None:
    model = rnnlm.load(runs[unit])
    plain, packed = tmp_path / "text.txt", tmp_path / "text.gz"
    plain.write_text("the dog sings\n" * 5)
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert model.evaluate(plain).perplexity == model.evaluate(packed).perplexity


def test_bits_per_character_compare_units(runs: dict[str, Path]) -> None:
    """Characters of plain ASCII: a character model's bits a token are its bits a character."""
    for unit in ("char", "byte"):
        found = rnnlm.load(runs[unit]).evaluate("the dog sees the cat\n")
        assert found.bits_per_character == found.bits_per_token
    found = rnnlm.load(runs["byte"]).evaluate("é\n")
    assert (found.tokens, found.characters) == (3, 2)


def test_a_text_of_unknown_words_only(model: rnnlm.LanguageModel, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("der Hund bellt laut\n" * 3)
    with pytest.raises(
        TextError, match=r"text.txt: 80% of its tokens are not in the vocabulary; is it the same language"
    ):
        model.evaluate(path)


def test_unknown_words_without_an_unk_in_training_are_worth_a_word(model: rnnlm.LanguageModel) -> None:
    found = model.evaluate(TEXT)
    assert "<unk> never stood in the training text" in found.notes[0]
    assert model.evaluate("a bird sings").notes == ()


def test_an_empty_text(model: rnnlm.LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(TextError, match=r"empty.txt: empty"):
        model.evaluate(tmp_path / "empty.txt")
    assert model.evaluate("").tokens == 1, "a string is a line, so its end is scored"
    with pytest.raises(TextError, match="empty"):
        rnnlm.load(model.trained.path.parent.parent / "char").evaluate("")


def test_the_runs_own_text(runs: dict[str, Path], tmp_path: Path) -> None:
    model = rnnlm.load(runs["word"])
    assert str(model.own_text()) == model.config.data.test
    data = model.config.data.model_copy(update={"test": str(tmp_path / "gone"), "valid": None})
    model.config = model.config.model_copy(update={"data": data})
    with pytest.raises(InputError, match="give a TEXT"):
        model.own_text()


def test_nothing_is_left_in_the_temporary_folder(model: rnnlm.LanguageModel, tmp_path: Path, monkeypatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    text = Path(str(model.config.data.test))
    model.evaluate(text)
    assert not list(tmp_path.iterdir())
