"""``rnnlm rescore``."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HYPOTHESES = [
    ("u 1", "the dog see the cat", -1.0),
    ("u 1", "the dog sees the cat", -2.0),
    ("v", "", -1.0),
    ("v", '"bird" a zebra', -3.5),
    ("v", "a bird sings", -2.5),
]
REFERENCES = "utterance\ttext\nu 1\tthe dog sees the cat\nv\ta bird sings\n"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """One list in three formats, and its references."""
    found = {name: tmp_path / name for name in ("x.tsv", "x.jsonl", "words_text", "acwt", "refs.tsv", "refs.txt")}
    found["x.tsv"].write_text("utterance\ttext\tscore\n" + "".join(f"{u}\t{t}\t{s}\n" for u, t, s in HYPOTHESES))
    rows = [{"utterance": u, "text": t, "score": s} for u, t, s in HYPOTHESES]
    found["x.jsonl"].write_text("".join(json.dumps(row) + "\n" for row in rows))
    ids = ["u1-1", "u1-2", "v-1", "v-2", "v-3"]
    found["words_text"].write_text("".join(f"{id} {h[1]}\n" for id, h in zip(ids, HYPOTHESES, strict=True)))
    found["acwt"].write_text("".join(f"{id} {-h[2]}\n" for id, h in zip(ids, HYPOTHESES, strict=True)))
    found["refs.tsv"].write_text(REFERENCES)
    found["refs.txt"].write_text("u1 the dog sees the cat\nv a bird sings\n")
    return found


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def test_totals_are_those_of_the_scores_of_lines(call: Any, runs: dict[str, Path], files: dict[str, Path]) -> None:
    status, out, err = call("rescore", runs["word"], files["x.tsv"], "--weight", 0.5, "--penalty", -0.25)
    assert status == 0
    text = files["x.tsv"].with_name("lines.txt")
    text.write_text("".join(f"{text}\n" for _, text, _ in HYPOTHESES))
    lines = table(call("score", runs["word"], text)[1])
    for row, line, (utterance, text, score) in zip(table(out), lines, HYPOTHESES, strict=True):
        assert (row["utterance"], row["text"], float(row["score"])) == (utterance, text, score)
        assert float(row["log_probability"]) == pytest.approx(float(line["log_probability"]), rel=1e-6)
        total = score + 0.5 * float(row["log_probability"]) - 0.25 * len(text.split())
        assert float(row["total"]) == pytest.approx(total, rel=1e-12)
        assert row["unknown"] == line["unknown"]
    assert [row["rank"] for row in table(out)][:2] == ["2", "1"]
    assert "old_score" not in table(out)[0]
    assert "utterances               2\n" in err
    assert "unknown tokens           2 of 21\n" in err
    best = table(call("rescore", runs["word"], files["x.tsv"], "--weight", 0.5, "--best", "-q")[1])
    assert [row["rank"] for row in best] == ["1", "1"]


def test_all_formats_are_one_list(call: Any, runs: dict[str, Path], files: dict[str, Path]) -> None:
    rows = table(call("rescore", runs["word"], files["x.tsv"], "--weight", 2, "-q")[1])
    objects = [
        json.loads(line)
        for line in call("rescore", runs["word"], files["x.jsonl"], "--weight", 2, "-q")[1].splitlines()
    ]
    assert [{key: str(value) for key, value in row.items()} for row in objects] == rows
    kaldi = ["rescore", runs["word"], files["words_text"], "--costs", files["acwt"], "--weight", 2]
    status, out, err = call(*kaldi, "-q")
    assert (status, err) == (0, "")
    best = {row["utterance"].replace(" ", ""): row["text"] for row in rows if row["rank"] == "1"}
    assert out == "".join(f"{utterance} {text}".rstrip() + "\n" for utterance, text in best.items())
    totals = [row["total"] for row in table(call(*kaldi, "-q", "--format", "tsv")[1])]
    assert totals == [row["total"] for row in rows]


def test_word_errors_and_tuned_weights(
    call: Any, runs: dict[str, Path], files: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "made" / "o.tsv"
    arguments = ["rescore", runs["word"], files["x.tsv"], "--references", files["refs.tsv"]]
    status, out, err = call(*arguments, "-o", output)
    assert status == 0
    assert len(table(output.read_text())) == 5
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    assert rows["first"] == ["50.00%", "4", "1", "3", "0"]
    assert rows["rescored"] == rows["oracle"] == ["0.00%", "0", "0", "0", "0"]
    assert "(tuned)" in out
    assert "warning: tuned on these very references" in err
    given = err.split("give ")[1].split()
    again = json.loads(call(*arguments, *given, "--json")[1])
    assert again["tuned"] == []
    assert again["errors"]["first"]["rate"] == 0.5
    assert again["errors"]["rescored"]["errors"] == 0
    assert again["errors"]["oracle"]["words"] == 8
    assert again["changed"] == 2
    found = json.loads(call(*arguments, "--json", "-q")[1])
    assert found["tuned"] == ["weight", "penalty"]
    assert [f"--{name}={found['weights'][name]}" for name in found["tuned"]] == [
        f"{name}={value}" for name, value in zip(given[::2], given[1::2], strict=True)
    ]
    kaldi = [
        "rescore",
        runs["word"],
        files["words_text"],
        "--costs",
        files["acwt"],
        "--references",
        files["refs.txt"],
    ]
    assert json.loads(call(*kaldi, "--json", "-q")[1]) == found


def test_old_scores(call: Any, runs: dict[str, Path], files: dict[str, Path]) -> None:
    path = files["x.tsv"].with_name("old.tsv")
    path.write_text("utterance\ttext\tam\tlm\nu\tthe dog\t-1\t-2\nu\ta bird\t-2\t-1\n")
    columns = ["--score", "am", "--old-score", "lm"]
    rows = table(call("rescore", runs["word"], path, *columns, "--weight", 0, "--old-weight", 3, "-q")[1])
    assert [(row["old_score"], row["total"], row["rank"]) for row in rows] == [
        ("-2.0", "-7.0", "2"), ("-1.0", "-5.0", "1"),
    ]  # fmt: skip
    costs = ["--costs", files["acwt"], "--old-costs", files["acwt"], "--weight", 0, "--old-weight", 1]
    rows = table(call("rescore", runs["word"], files["words_text"], *costs, "--format", "tsv", "-q")[1])
    assert [float(row["total"]) for row in rows] == [2 * score for _, _, score in HYPOTHESES]


def test_standard_input(call: Any, runs: dict[str, Path], files: dict[str, Path]) -> None:
    wanted = call("rescore", runs["word"], files["x.tsv"], "--weight", 1, "-q")[1]
    command = [sys.executable, "-m", "rnnlm", "rescore", str(runs["word"]), "-", "--weight", "1", "-q"]
    found = subprocess.run(command, input=files["x.tsv"].read_text(), capture_output=True, text=True)
    assert (found.returncode, found.stdout, found.stderr) == (0, wanted, "")


@pytest.mark.parametrize("unit", ["char", "byte"])
def test_characters_and_bytes(call: Any, runs: dict[str, Path], files: dict[str, Path], unit: str) -> None:
    text = files["x.tsv"].with_name("lines.txt")
    text.write_text("".join(f"{text}\n" for _, text, _ in HYPOTHESES))
    lines = table(call("score", runs[unit], text)[1])
    rows = table(call("rescore", runs[unit], files["x.tsv"], "--weight", 1, "-q")[1])
    for row, line, (_, text, _) in zip(rows, lines, HYPOTHESES, strict=True):
        assert float(row["log_probability"]) == pytest.approx(float(line["log_probability"]), rel=1e-6)
        assert (row["unknown"], row["words"]) == (line["unknown"], str(len(text.split())))


def test_without_jiwer(refused: Callable[..., None], files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jiwer", None)
    refused(["rescore", "{run}", str(files["x.tsv"]), "--references", str(files["refs.tsv"])], "pip install '.[wer]'")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.tsv", "--weight", "1"], "nowhere.tsv: No such file or directory"),
        (["{empty}", "--weight", "1"], "empty.txt: empty; give at least one hypothesis"),
        (["{binary}", "--weight", "1"], "binary.txt:1: not UTF-8"),
        (["{folder}/x.tsv"], "give --weight, how much log p counts, or --references"),
        (["{folder}/x.tsv", "--weight", "nan"], "--weight: found nan; must be a number"),
        (
            ["{folder}/x.tsv", "--weight", "1", "--score", "am"],
            "x.tsv:2: there is no am; there are utterance, text, score",
        ),
        (["{folder}/x.tsv", "--references", "{folder}/words_text"], "no reference of u 1 and of 1 more"),
        (
            ["{folder}/x.tsv", "--weight", "1", "--format", "kaldi"],
            "x.tsv:2: the utterance 'u 1' has white space in it",
        ),
        (["{folder}/x.tsv", "--weight", "1", "-o", "{folder}/x.tsv"], "this command reads it"),
        (["{folder}/x.tsv", "--weight", "1", "-o", "{folder}/refs.tsv"], "--force replaces it"),
        (["{folder}/x.tsv", "--weight", "1", "-o", "{folder}/o.onnx"], "name it NAME.tsv or NAME.txt"),
        (["{folder}/words_text", "--weight", "1"], "one column; a table has utterance, text, score"),
        (["{folder}/words_text", "--costs", "{empty}", "--weight", "1"], "no cost of u1-1"),
        (["{folder}/words_text", "--costs", "{folder}/acwt", "--old-score", "lm"], "--old-score names a column"),
        (
            ["{folder}/words_text", "--costs", "{folder}/acwt", "--weight", "1", "--utterance", "u"],
            "--utterance names a column; Kaldi's files have none",
        ),
        (
            ["{folder}/words_text", "--costs", "{folder}/acwt", "--references", "{folder}/refs.txt", "--text", "t"],
            "--text names a column; Kaldi's files have none",
        ),
        (["{folder}/x.tsv", "--weight", "1", "--force"], "--force goes with --output"),
        (["{folder}/x.tsv", "--weight", "1", "--json", "--best"], "--best goes with --output, or without --json"),
        (["{folder}/x.tsv", "--weight", "1", "--json", "--format", "tsv"], "--format goes with --output, or without"),
        (["{folder}/x.tsv", "--weight", "1", "-o", "-"], "--output: found -; leave it out for standard output"),
        (["-", "--references", "-"], "-: standard input can be one file alone"),
        (["-", "--references", "/dev/stdin"], "-: standard input can be one file alone"),
        (
            ["{folder}/words_text", "--old-costs", "{folder}/acwt", "--references", "x"],
            "--old-costs goes with --costs",
        ),
    ],
)
def test_errors(refused: Callable[..., None], files: dict[str, Path], arguments: list[str], message: str) -> None:
    refused(["rescore", "{run}", *arguments], message)


@pytest.mark.parametrize("weights", [["--weight", "1e308"], ["--weight", "1", "--penalty=-1e308"]])
def test_totals_that_are_not_finite(
    call: Any, runs: dict[str, Path], files: dict[str, Path], tmp_path: Path, weights: list[str]
) -> None:
    status, out, err = call("rescore", runs["word"], files["x.tsv"], *weights, "-o", tmp_path / "o.tsv", "-q")
    assert (status, out) == (1, "")
    assert err.startswith("error: the total of a hypothesis is not finite: its scores or the weights (--weight, ")
    assert err.count("\n") == 1
    assert not (tmp_path / "o.tsv").exists()


def test_the_output_is_a_list_again(call: Any, runs: dict[str, Path], files: dict[str, Path], tmp_path: Path) -> None:
    """In every format: the same texts, scores and totals."""
    arguments = ["--weight", 0.5, "--penalty", 1, "-q"]
    for name in ("o.tsv", "o.jsonl"):
        for read in ("x.tsv", "x.jsonl"):
            assert call("rescore", runs["word"], files[read], *arguments, "-o", tmp_path / name, "--force")[0] == 0
            status, out, err = call("rescore", runs["word"], tmp_path / name, *arguments)
            assert (status, out, err) == (0, (tmp_path / name).read_text(), ""), "by the ending of its name"
    for name, format in (("o.tsv", "jsonl"), ("o.jsonl", "tsv"), ("o.jsonl", "kaldi")):
        status, _, err = call(
            "rescore", runs["word"], files["x.tsv"], *arguments, "-o", tmp_path / name, "--force", "--format", format
        )
        assert status == 2
        assert "is written; name it" in err


def test_the_weights_that_are_suggested_are_taken(
    call: Any, runs: dict[str, Path], files: dict[str, Path], tmp_path: Path
) -> None:
    """Also one of 0, where the list has old scores."""
    old = tmp_path / "old.tsv"
    old.write_text("utterance\ttext\tscore\told\n" + "".join(f"{u}\t{t}\t{s}\t-1\n" for u, t, s in HYPOTHESES))
    columns = ["--old-score", "old", "--references", files["refs.tsv"]]
    status, out, err = call("rescore", runs["word"], old, *columns, "--old-weight", 0, "-o", tmp_path / "a.tsv")
    assert status == 0
    given = err.split("give ")[1].split()
    assert given[-2:] == ["--old-weight", "0.0"]
    assert call("rescore", runs["word"], old, *columns, *given, "-o", tmp_path / "b.tsv")[0] == 0
    assert (tmp_path / "a.tsv").read_text() == (tmp_path / "b.tsv").read_text()


def test_nothing_half_written(call: Any, runs: dict[str, Path], files: dict[str, Path], tmp_path: Path) -> None:
    with open(files["x.tsv"], "a") as file:
        file.write("v\ta </s>\t1\n")
    status, out, err = call("rescore", runs["word"], files["x.tsv"], "--weight", 1, "-o", tmp_path / "o.tsv")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "x.tsv:7: found the word </s>" in err
    assert not (tmp_path / "o.tsv").exists()
