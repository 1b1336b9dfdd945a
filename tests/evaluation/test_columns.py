"""The table of tokens as others read it: Python's csv, pandas, R."""

from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path

import pytest

import rnnlm
from rnnlm.errors import InputError
from rnnlm.evaluation import columns
from rnnlm.work import run_to_end

HARD = [
    '"', '""', '"quoted', 'in"side', "'", "don't", "#", "a#b", ",", ";", "\\", "\\n", "\\x6eull", "\\\\", "\x1b[31m",
    "\x00", "\u200b", "\u2028", "é", "\U0001f600", "a\u0301", "=1+1", "#N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN",
    "-nan",
    "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "Null", "inf",
    "TRUE", "01",
]  # fmt: skip


def undone(token: str) -> str:
    return token.encode("latin-1", "backslashreplace").decode("unicode_escape")


@pytest.fixture(params=["word", "char", "byte"])
def written(runs: dict[str, Path], tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, list[str]]:
    """A table of hard tokens, and these."""
    model, text, path = rnnlm.load(runs[request.param]), tmp_path / "text.txt", tmp_path / "t.tsv"
    text.write_text("the dog\n" * 100 + " ".join([*HARD, '"']) + "\t\t\n\n", encoding="utf-8")
    run_to_end(model.evaluating(path=text, per_token=path))
    return path, [score.token for score in model.surprisal(text.read_text(encoding="utf-8"))]


def test_python_reads_every_row(written: tuple[Path, list[str]]) -> None:
    path, tokens = written
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert rows[0] == list(columns.DEFAULT)
    assert {len(row) for row in rows} == {len(columns.DEFAULT)}
    assert [undone(row[2]) for row in rows[1:]] == tokens
    raw = path.read_bytes()
    assert raw.count(b"\n") == len(rows)
    assert not set(raw) & (set(range(32)) - {9, 10}), "nothing that a terminal would obey"


def test_pandas_reads_every_row(written: tuple[Path, list[str]]) -> None:
    pandas = pytest.importorskip("pandas")
    path, tokens = written
    frame = pandas.read_csv(path, sep="\t")
    assert list(frame.columns) == list(columns.DEFAULT)
    assert not frame.isna().any().any()
    assert [undone(token) for token in frame["token"]] == tokens
    assert frame["position"].tolist() == list(range(1, len(tokens) + 1))


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not on this machine")
def test_r_reads_every_row(written: tuple[Path, list[str]]) -> None:
    path, tokens = written
    code = "t <- read.delim(commandArgs(TRUE)[1]); stopifnot(!anyNA(t)); writeLines(t$token, useBytes = TRUE)"
    read = subprocess.run(["Rscript", "-e", code, str(path)], capture_output=True, check=True, timeout=100)
    assert [undone(token) for token in read.stdout.decode("utf-8").split("\n")[:-1]] == tokens


def test_a_token_that_shows_is_as_the_text_has_it() -> None:
    shown = {
        "dog": "dog",
        " ": " ",
        "é": "é",
        '"': '""',
        "\t": "\\t",
        "\\": "\\\\",
        "null": "\\x6eull",
        "nulls": "nulls",
    }
    assert {token: columns.quoted(token)[1:-1] for token in shown} == shown


@pytest.mark.parametrize(
    ("text", "found"),
    [("token,rank", ("token", "rank")), ("rank, token", ("rank", "token")), ("all", tuple(columns.COLUMNS))],
)
def test_columns_by_name(text: str, found: tuple[str, ...]) -> None:
    assert columns.parse(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("token,ranks", "'ranks': no such column"),
        ("a", "'a': no such column"),
        ("rank,rank", "'rank': found twice"),
        ("", "'': no such column"),
    ],
)
def test_columns_that_do_not_exist(text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"--columns: {message}.*there are position, line, token.* or all"):
        columns.parse(text)
