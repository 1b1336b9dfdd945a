"""``rnnlm pairs``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text(
        "good\tbad\tphenomenon\nthe dog sees the cat\tthe dog see the cat\tagreement\n"
        "the cats sleep\tthe cat sleep\tagreement\na bird sings\tbird a sings\torder\n"
        "a zebra sings\ta yak sings\torder\n"
    )
    return path


def test_accuracy_by_phenomenon(call: Any, runs: dict[str, Path], file: Path, tmp_path: Path) -> None:
    status, out, _ = call("pairs", runs["word"], file, "-o", tmp_path / "scores.tsv", "-q")
    assert status == 0
    lines = [line.split() for line in out.splitlines() if line.strip()]
    assert [line[0] for line in lines] == [
        "phenomenon",
        "─" * len(lines[1][0]),
        "agreement",
        "order",
        "all",
        "unknown:",
    ]
    assert [line[1] for line in lines[2:5]] == ["2", "1", "3"]
    found = json.loads(call("pairs", runs["word"], file, "--json", "-q")[1])["accuracies"]
    assert [row["phenomenon"] for row in found] == ["agreement", "order", None]
    assert found[-1]["unknown"] == 1
    assert found[-1]["pairs"] == 3
    assert found[-1]["correct"] == 3, "a network that has learnt these five sentences"
    assert len((tmp_path / "scores.tsv").read_text().splitlines()) == 5
    assert "--force replaces it" in call("pairs", runs["word"], file, "-o", tmp_path / "scores.tsv")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}", "nowhere.jsonl"], "nowhere.jsonl: No such file or directory"),
        (["{run}", "{empty}"], "give files that end in .jsonl or .tsv, or two texts"),
        (["{run}", "{empty}", "{empty}"], "empty.txt: empty; give at least one pair"),
        (["{run}"], "Missing argument 'FILE...'"),
    ],
)
def test_errors(refused: Callable[..., None], arguments: list[str], message: str) -> None:
    refused(["pairs", *arguments], message)
