"""``rnnlm syntaxgym``."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))


NUMBER = "(2;%match%) < (2;%mismatch%)"


def suite(folder: Path, name: str = "number", formulas: tuple[str, ...] = (NUMBER,)) -> Path:
    verbs = [("the cats", "sleep", "sings"), ("a bird", "sings", "sleep"), ("the zebra", "sees", "dogs")]
    items = []
    for number, (subject, match, mismatch) in enumerate(verbs, 1):
        conditions = [
            {
                "condition_name": condition,
                "regions": [{"region_number": 1, "content": subject}, {"region_number": 2, "content": verb}],
            }
            for condition, verb in (("match", match), ("mismatch", mismatch))
        ]
        items.append({"item_number": number, "conditions": conditions})
    predictions = [{"type": "formula", "formula": formula} for formula in formulas]
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"meta": {"name": name, "metric": "sum"}, "predictions": predictions, "items": items}))
    return path


def test_accuracy_by_suite_and_prediction(call: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    paths = [suite(tmp_path), suite(tmp_path, "both", (NUMBER, "(*;%mismatch%) < (*;%match%) & (1;%match%) > 0"))]
    output, regions = tmp_path / "results.tsv", tmp_path / "regions.tsv"
    status, out, _ = call("syntaxgym", runs["word"], *paths, "-o", output, "--regions", regions, "-q")
    assert status == 0
    lines = [line.split() for line in out.splitlines() if line.strip()]
    assert lines[0] == ["suite", "prediction", "items", "accuracy", "95%", "interval", "unknown"]
    assert [line[:3] for line in lines[2:6]] == [
        ["number", "all", "3"], ["both", "1", "3"], ["both", "2", "3"], ["both", "all", "3"],
    ]  # fmt: skip
    found = json.loads(call("syntaxgym", runs["word"], *paths, "--json", "-q")[1])
    accuracies = found["accuracies"]
    assert [row["prediction"] for row in accuracies] == [None, 1, 2, None]
    assert accuracies[0]["correct"] >= 2, "a network that has learnt two of these sentences"
    assert found["mean_accuracy"] == pytest.approx((accuracies[0]["accuracy"] + accuracies[3]["accuracy"]) / 2)
    assert accuracies[2]["unknown"] == 1

    rows = rows_of(regions)
    keys = ("suite", "item", "condition", "region")
    surprisal = {tuple(row[key] for key in keys): float(row["surprisal_bits"]) for row in rows}
    results = rows_of(output)
    assert len(rows) == 2 * 12
    assert len(results) == 3 + 6
    for row in results:
        match, mismatch = (
            [surprisal[row["suite"], row["item"], name, i] for i in "12"] for name in ("match", "mismatch")
        )
        wanted = match[1] < mismatch[1] if row["prediction"] == "1" else sum(mismatch) < sum(match)
        assert row["correct"] == str(int(wanted))
    assert "--force replaces it" in call("syntaxgym", runs["word"], *paths, "--regions", regions)[2]


def test_all_regions_are_the_sentences_score(call: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    regions, text = tmp_path / "regions.tsv", tmp_path / "text.txt"
    text.write_text("the cats sleep\n")
    for unit in ("word", "char", "byte"):
        for option in ([], ["--no-line-end"]):
            call("syntaxgym", runs[unit], suite(tmp_path), "--regions", regions, "--force", "-q", *option)
            found = sum(float(row["surprisal_bits"]) for row in rows_of(regions)[:2])
            row = json.loads(call("score", runs[unit], text, "--format", "jsonl", *option)[1])
            assert found == pytest.approx(row["bits_per_character"] * row["characters"], rel=1e-5)


def test_a_suite_that_is_wrong_leaves_nothing(call: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    path = suite(tmp_path, formulas=("(2;%match%) < (3;%match%)",))
    status, out, err = call("syntaxgym", runs["word"], path, "-o", tmp_path / "results.tsv")
    assert (status, out) == (2, "")
    assert err == f"error: {path}: predictions[0]: (3;%match%): there is no region 3; there are 1, 2\n"
    assert [found.name for found in tmp_path.iterdir()] == ["number.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}", "nowhere.json"], "nowhere.json: No such file or directory"),
        (["{run}", "{empty}"], "empty.txt: no JSON"),
        (["{run}", "{binary}"], "binary.txt: not UTF-8 at byte 4"),
        (["{run}", "{empty}", "-o", "a.tsv", "--regions", "./a.tsv"], "named by --output and by --regions"),
        (["{run}", "{empty}", "-o", "{empty}"], "empty.txt: this command reads it"),
        (["{run}"], "Missing argument 'SUITE.json...'"),
    ],
)
def test_errors(refused: Callable[..., None], arguments: list[str], message: str) -> None:
    refused(["syntaxgym", *arguments], message)
