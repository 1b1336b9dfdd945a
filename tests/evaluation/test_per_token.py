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
from rnnlm.evaluation import per_token
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
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("state", ["carry", "reset"])
def test_every_column_agrees_with_the_oracle(precision: str, state: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    tokens = [str(word) for word in generator.choice([*WORDS, "</s>", "</s>", "<unk>", "strange", "other"], 1500)]
    vocabulary = Vocabulary([*WORDS, "<unk>", "</s>"], [1] * 60, "word", False)
    text = corpus.from_tokens(tokens, 6000, vocabulary, "text")
    net = network(config("tanh", d=10, hidden=16, precision=precision), 60)
    found = run_to_end(per_token.write_token_scores(net, text, iter(tokens), state, tmp_path / "t.tsv"))
    rows = table(tmp_path / "t.tsv")

    weights = {name: value.astype(np.float64) for name, value in net.named.items()}
    arguments = (weights, text.ids(0, len(text)), vocabulary.line_end, "tanh", state)
    nats = oracle.log_probabilities(*arguments)
    assert tuple(rows[0]) == per_token.COLUMNS
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

    monkeypatch.setattr(per_token, "score", failing)
    text = tmp_path / "text.txt"
    text.write_text("the dog\n" * 50)
    with pytest.raises(MemoryError):
        run_to_end(model.evaluating(path=text, per_token=path))
    assert [(p.name, p.read_text()) for p in path.parent.iterdir()] == ([("t.tsv", before)] if before else [])


def test_tokens_that_would_break_the_table(runs: dict[str, Path], tmp_path: Path) -> None:
    """Every row keeps its eight columns, whatever the text holds."""
    text, path = tmp_path / "text.txt", tmp_path / "t.tsv"
    odd = ['"quoted', "\x1b[31m", "\x00", "\u200b", "\u2028", "\U0001f600", "a\u0301", '"']
    text.write_text("the dog\n" * 20 + " ".join(odd) + "\n", encoding="utf-8")
    for unit in ("word", "char", "byte"):
        run_to_end(rnnlm.load(runs[unit]).evaluating(path=text, per_token=path))
        raw = path.read_bytes()
        assert all(len(line.split(b"\t")) == 8 for line in raw.split(b"\n")[:-1])
        assert not set(raw) & (set(range(32)) - {9, 10}), "nothing that a terminal would obey"
    run_to_end(rnnlm.load(runs["word"]).evaluating(path=text, per_token=path))
    shown = [row["token"] for row in table(path)[60:-1]]
    assert shown == ['"quoted', "\\x1b[31m", "\\x00", "\\u200b", "\U0001f600", "a\u0301", '"']


def test_the_table_of_tokens(model: rnnlm.LanguageModel, tmp_path: Path) -> None:
    text, table = tmp_path / "text.txt", tmp_path / "tokens.tsv"
    text.write_text(TEXT)
    found = run_to_end(model.evaluating(path=text, per_token=table))
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert tuple(rows[0]) == per_token.COLUMNS
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
        run_to_end(model.evaluating(path=tmp_path / "nowhere", per_token=table))
    assert not table.exists()
    run_to_end(model.evaluating(path=text, per_token=table))
    lines = table.read_text(encoding="utf-8").splitlines()[1:]
    assert [line.split("\t")[2] for line in lines] == [
        "a",
        " ".encode("unicode_escape").decode(),
        "b",
        "\\t",
        "\\\\",
        "\\n",
    ]
