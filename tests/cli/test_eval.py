"""``rnnlm eval``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_an_evaluation_names_its_text(call: Any, runs: dict[str, Path]) -> None:
    """Left out, it is the run's own, which nobody can see from the command."""
    test = runs["word"].parent / "test.txt"
    assert call("eval", runs["word"])[1].startswith(f"text                                {test}\n")
    assert json.loads(call("eval", runs["word"], "--json")[1])["text"] == str(test)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such file; give a run's folder"),
        (["{folder}"], "no model.safetensors in this folder; has it been trained yet?"),
        (["{run}", "nowhere"], "nowhere: No such file or directory; give the path of a text file"),
        (["{run}", "{empty}"], "empty.txt: empty; give a text"),
        (["{run}", "--columns", "rank"], "--columns is for the table of --per-token"),
        (["{run}", "--per-token", "{folder}/t.tsv", "--columns", "ranks"], "--columns: 'ranks': no such column;"),
        (["{run}", "{binary}"], "binary.txt: not UTF-8 at byte 4"),
    ],
)  # fmt: skip
def test_errors(refused: Callable[..., None], arguments: list[str], message: str) -> None:
    refused(["eval", *arguments], message)


def test_the_state_that_the_text_begins_with_is_said(call: Any, runs: dict[str, Path]) -> None:
    found = {
        name: json.loads(call("eval", runs["word"], "--state", "reset", *options, "--json")[1])
        for name, options in (("model", []), ("zero", ["--initial-state", "zero"]))
    }
    assert {name: shown["initial_state"] for name, shown in found.items()} == {"model": "model", "zero": "zero"}
    assert found["model"]["perplexity"] != found["zero"]["perplexity"]
    assert "hidden state at the beginning       the model's\n" in call("eval", runs["word"])[1]
    assert "hidden state at the beginning       zero\n" in call("eval", runs["word"], "--initial-state", "zero")[1]
