"""The table of tokens: against the oracle, as a table, and what is left when writing it fails."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from networks import config, network

import rnnlm
from rnnlm.errors import TextError
from rnnlm.evaluation import columns, per_token, stretches
from rnnlm.network import scoring
from rnnlm.text import corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import run_to_end

WORDS = [f"w{i}" for i in range(58)]
TEXT = "the dog sees the zebra\na bird sings\n\nthe <unk> sleep"


@pytest.fixture(scope="module")
def model(runs: dict[str, Path]) -> rnnlm.LanguageModel:
    return rnnlm.load(runs["word"])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("state", "stretch"), [("carry", 1), ("reset", 1), ("reset", 100), ("reset", 1 << 16)])
def test_every_column_agrees_with_the_oracle(
    precision: str, state: str, stretch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the number of tokens that are scored at a time under "reset"; of 1, lines are one stream each."""
    generator = np.random.default_rng(3)
    tokens = [str(word) for word in generator.choice([*WORDS, "</s>", "</s>", "<unk>", "strange", "other"], 1500)]
    vocabulary = Vocabulary([*WORDS, "<unk>", "</s>"], [1] * 60, "word", False)
    text = corpus.from_tokens(tokens, 6000, vocabulary, "text")
    net = network(config("tanh", d=10, hidden=16, precision=precision), 60)
    monkeypatch.setattr(stretches, "_STRETCH", stretch)
    found = run_to_end(per_token.write_token_scores(net, text, state, tmp_path / "t.tsv", tuple(columns.COLUMNS)))
    rows = table(tmp_path / "t.tsv")

    weights = {name: value.astype(np.float64) for name, value in net.named.items()}
    arguments = (weights, text.ids(0, len(text)), vocabulary.line_end, "tanh", state)
    nats = oracle.log_probabilities(*arguments)
    assert list(rows[0]) == list(columns.COLUMNS)
    assert [row["token"] for row in rows] == tokens, "unknown words as they stand in the text"
    assert [row["is_unk"] for row in rows] == ["1" if word in ("strange", "other") else "0" for word in tokens]
    ends = np.cumsum([0, *(word == "</s>" for word in tokens[:-1])])
    assert [int(row["line"]) for row in rows] == (ends + 1).tolist()

    def column(name: str) -> np.ndarray:
        return np.array([float(row[name]) for row in rows])

    close = {"rtol": 0, "atol": 1e-6 if precision == "float64" else 5e-5}
    np.testing.assert_allclose(column("log_probability"), nats, **close)
    np.testing.assert_allclose(column("surprisal_bits"), -nats / math.log(2), **close)
    np.testing.assert_allclose(column("entropy_bits"), oracle.entropies(*arguments), **close)
    different = column("rank") != oracle.ranks(*arguments)
    assert different.sum() <= (2 if precision == "float32" else 0), "two tokens may be equal in 7 digits"
    alternative, its_nats = oracle.alternatives(*arguments)
    different = np.array([row["alternative"] for row in rows]) != np.array(vocabulary.tokens)[alternative]
    assert different.sum() <= (2 if precision == "float32" else 0)
    np.testing.assert_allclose(column("alternative_bits"), -its_nats / math.log(2), **close)
    in_line = [i - max([0, *(np.flatnonzero(np.array(tokens[:i]) == "</s>") + 1)]) + 1 for i in range(len(tokens))]
    assert [int(row["line_position"]) for row in rows] == in_line
    assert math.exp(-column("log_probability").mean()) == pytest.approx(found.perplexity, rel=1e-6)
    assert found.perplexity == pytest.approx(math.exp(-nats.mean()), rel=1e-5 if precision == "float32" else 1e-10)


@pytest.mark.parametrize("before", [None, "an older table\n"])
def test_an_error_in_the_middle_leaves_what_was_there(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    path = tmp_path / "out" / "t.tsv"
    if before is not None:
        path.parent.mkdir()
        path.write_text(before)
    model = rnnlm.load(runs["word"])
    real = scoring.score

    def failing(*arguments: Any, **options: Any) -> Any:
        yield from real(*arguments, **options)
        raise MemoryError

    monkeypatch.setattr(stretches, "score", failing)
    text = tmp_path / "text.txt"
    text.write_text("the dog\n" * 50)
    with pytest.raises(MemoryError):
        run_to_end(model.evaluating(path=text, per_token=path))
    assert [(p.name, p.read_text()) for p in path.parent.iterdir()] == ([("t.tsv", before)] if before else [])


def test_a_table_has_the_columns_asked_for(model: rnnlm.LanguageModel, tmp_path: Path) -> None:
    """In the order asked for; a column is the same whichever others are there."""
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    whole, some = tmp_path / "whole.tsv", tmp_path / "some.tsv"
    run_to_end(model.evaluating(path=text, per_token=whole, columns=columns.parse("all")))
    for names in (["token", "rank", "comparable"], ["surprisal_bits"], list(columns.DEFAULT)):
        run_to_end(model.evaluating(path=text, per_token=some, columns=names))
        rows = table(some)
        assert list(rows[0]) == names
        assert [[row[name] for name in names] for row in table(whole)] == [list(row.values()) for row in rows]


def test_only_rank_and_entropy_need_the_whole_distribution(
    model: rnnlm.LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = scoring.score

    def watched(*arguments: Any, details: bool = False, **options: Any) -> Any:
        asked.append(details)
        return real(*arguments, details=details, **options)

    monkeypatch.setattr(stretches, "score", watched)
    for names in (columns.DEFAULT, ["rank"], ["token", "entropy_bits"]):
        run_to_end(model.evaluating(text=TEXT, per_token=tmp_path / "t.tsv", columns=names))
    assert asked == [False, True, True]


def test_the_table_of_tokens(model: rnnlm.LanguageModel, tmp_path: Path) -> None:
    text, path = tmp_path / "text.txt", tmp_path / "tokens.tsv"
    text.write_text(TEXT)
    found = run_to_end(model.evaluating(path=text, per_token=path, columns=columns.parse("all")))
    rows = table(path)
    assert list(rows[0]) == list(columns.COLUMNS)
    words = [*TEXT.replace("\n", " </s> ").split(), "</s>"]
    assert [row["token"] for row in rows] == words, "the text's own words, the first and every line end included"
    assert [int(row["position"]) for row in rows] == list(range(1, len(words) + 1))
    assert [int(row["line"]) for row in rows] == [1] * 6 + [2] * 4 + [3] + [4] * 4
    assert [row["token"] for row in rows if row["is_unk"] == "1"] == ["zebra"], "a literal <unk> is a word"
    assert [row["token"] for row in rows if row["comparable"] == "0"] == ["zebra"]
    nats = [float(row["log_probability"]) for row in rows]
    assert math.exp(-sum(nats) / len(nats)) == pytest.approx(found.perplexity, rel=1e-5)
    for row in rows:
        assert float(row["surprisal_bits"]) == pytest.approx(-float(row["log_probability"]) / math.log(2), abs=1e-5)
        assert 1 <= int(row["rank"]) <= len(model.vocabulary)
        assert 0 < float(row["entropy_bits"]) <= math.log2(len(model.vocabulary))


def test_nothing_is_left_of_a_table_whose_text_is_not_there(model: rnnlm.LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(TextError):
        run_to_end(model.evaluating(path=tmp_path / "nowhere", per_token=tmp_path / "t.tsv"))
    assert not (tmp_path / "t.tsv").exists()
