"""``rnnlm eval --with``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def other(runs: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(runs["word"], tmp_path / "other")


def test_with_an_ngram_and_another_run(call: Any, runs: dict[str, Path], other: Path, tmp_path: Path) -> None:
    path = tmp_path / "3gram.arpa"
    config = runs["word"] / "config.yaml"
    assert call("ngram", config, "--order", 3, "-o", path, "-q")[0] == 0
    status, out, _ = call("eval", runs["word"], "--with", path, "--with", other, "-q")
    assert status == 0
    rows = [line.split() for line in out.splitlines() if line.strip()]
    assert [row[0] for row in rows[2:6]] == [str(runs["word"]), str(path), str(other), "together"]
    assert "weights: those that make the validation text most probable" in out
    found = json.loads(call("eval", runs["word"], "--with", path, "--weights", "1,3", "--json", "-q")[1])
    assert [part["weight"] for part in found["parts"]] == [0.25, 0.75]
    alone = json.loads(call("eval", runs["word"], "--json", "-q")[1])
    assert found["parts"][0]["alone"]["perplexity"] == pytest.approx(alone["perplexity"], rel=1e-12)
    everything = json.loads(call("eval", runs["word"], "--with", path, "--weights", "1,0", "--json", "-q")[1])
    assert everything["together"]["perplexity"] == pytest.approx(alone["perplexity"], rel=1e-12)


def test_with_a_cache(call: Any, runs: dict[str, Path]) -> None:
    status, out, _ = call("eval", runs["word"], "--cache", "--cache-window", 50, "-q")
    assert status == 0
    rows = [line.split() for line in out.splitlines() if line.strip()]
    assert [row[0] for row in rows[2:5]] == [str(runs["word"]), "cache", "together"]
    assert len(rows[3]) == 2, "alone it holds the first token impossible"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "1,2"], "--weights are those of a mixture; give --with FILE or --cache too"),
        (["--cache", "--cache-theta", "inf"], "--cache-theta: found inf; must be a number of 0 or more"),
        (["--cache", "--weights", "0,1"], "--weights: a token is impossible then"),
        (["--with", "x.arpa"], "x.arpa: No such file or directory"),
        (["--with", "nowhere"], "nowhere: no such file"),
        (["--with", "{run}", "--weights", "1"], "--weights: found 1.0; must be 2 numbers"),
        (["--with", "{run}", "--weights", "a,b"], "--weights: found a,b; must be numbers with commas between them"),
        (["--with", "{run}", "--per-token", "{folder}/t.tsv"], "--per-token is of the model alone"),
    ],
)
def test_errors(refused: Callable[..., None], arguments: list[str], message: str) -> None:
    refused(["eval", "{run}", *arguments], message)


def test_another_vocabulary(call: Any, runs: dict[str, Path]) -> None:
    status, _, err = call("eval", runs["word"], "--with", runs["char"], "-q")
    assert status == 2
    assert "its vocabulary is another one; only models of the same tokens can be mixed" in err
