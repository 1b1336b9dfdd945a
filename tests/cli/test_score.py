"""``rnnlm score`` and ``rnnlm next``."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rnnlm
from rnnlm.errors import RnnlmError

TEXT = "the dog sees the zebra\n\na bird sings\n"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "my.txt"
    path.write_text(TEXT)
    return path


def table(output: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(output), delimiter="\t"))


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_lines_are_what_eval_adds_up(call: Any, runs: dict[str, Path], text: Path, unit: str) -> None:
    status, out, err = call("score", runs[unit], text)
    assert (status, err) == (0, "")
    rows = table(out)
    found = json.loads(call("eval", runs[unit], text, "--state", "reset", "--json")[1])
    assert sum(int(row["tokens"]) for row in rows) == found["tokens"]
    assert sum(int(row["characters"]) for row in rows) == found["characters"]
    bits = -sum(float(row["log_probability"]) for row in rows) / math.log(2)
    assert bits == pytest.approx(found["bits_per_token"] * found["tokens"], rel=1e-9)
    assert [row["text"] for row in rows] == TEXT.splitlines()
    words = table(call("score", runs[unit], text, "--by", "word")[1])
    assert [row["word"] for row in words if row["word"] != "</s>"] == TEXT.split()


def test_python_gives_the_same(call: Any, runs: dict[str, Path], text: Path, tmp_path: Path) -> None:
    model = rnnlm.load(runs["word"])
    rows = table(call("score", runs["word"], text, "--no-line-end")[1])
    found = model.score(TEXT, line_end=False)
    assert [row.log_probability for row in found] == [float(row["log_probability"]) for row in rows]
    assert model.score(TEXT.splitlines(), line_end=False) == found
    words = table(call("score", runs["word"], text, "--by", "word", "--columns", "all")[1])
    mine = model.words(TEXT, entropy=True)
    assert [row.surprisal for row in mine] == [float(row["surprisal_bits"]) for row in words]
    assert [row.entropy_reduction for row in mine] == [float(row["entropy_reduction_bits"]) for row in words]
    surprisal = [row.surprisal for row in model.surprisal(TEXT, "reset")]
    assert [row.surprisal for row in mine] == pytest.approx(surprisal, rel=1e-12)
    data = tmp_path / "crlf.txt"
    data.write_bytes(b"the dog\r\na cat\r\n")
    rows = table(call("score", runs["byte"], data)[1])
    assert [row.tokens for row in rnnlm.load(runs["byte"]).score("the dog\r\na cat\r\n")] == [
        int(row["tokens"]) for row in rows
    ]
    with pytest.raises(RnnlmError, match="line 1: no Unicode at character 5"):
        model.score("the \ud800")
    with pytest.raises(RnnlmError, match="line 2: it has a line end in it"):
        model.score(["a", "b\nc"])
    with pytest.raises(RnnlmError, match="this is a model of chars"):
        rnnlm.load(runs["char"]).words(TEXT, entropy=True)


def test_a_file_is_written_whole_or_not_at_all(call: Any, runs: dict[str, Path], text: Path, tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    assert call("score", runs["word"], text, "--format", "tsv", "-o", path)[0] == 2
    assert call("score", runs["word"], text, "-o", path) == (0, "", "")
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 3
    before = path.read_text()
    assert "is there already; --force replaces it" in call("score", runs["word"], text, "-o", path)[2]
    text.write_text("a\n" * 3000 + "b </s>\n")
    status, _, err = call("score", runs["word"], text, "-o", path, "--force")
    assert status == 2
    assert f"{text}:3001: found the word </s>" in err
    assert path.read_text() == before


def test_a_line_is_answered_before_the_next_is_read(runs: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "rnnlm", "score", str(runs["word"]), "--ids", "--format", "kaldi"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for id in ("utt-1", "utt-2"):
            process.stdin.write(f"{id} the dog sees\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith(f"{id} -")
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_regions_are_sums_of_the_words_of_the_lines(
    call: Any, runs: dict[str, Path], text: Path, tmp_path: Path, unit: str
) -> None:
    text.write_text("the dog sees the zebra\na bird sings\n")
    items = tmp_path / "items.tsv"
    items.write_text("id\troi\tw\n1\tnp\tthe dog\n1\tvp\tsees\n1\tvp\tthe zebra\n2\tnp\ta bird\n2\tvp\tsings\n")
    words = [row for row in table(call("score", runs[unit], text, "--by", "word")[1]) if row["word"] != "</s>"]
    bits = [float(row["surprisal_bits"]) for row in words]
    status, out, err = call("score", runs[unit], items, "--input-columns", "id,roi,w")
    assert (status, err) == (0, "")
    assert [(row["id"], row["roi"], row["w"]) for row in table(out)] == [
        ("1", "np", "the dog"), ("1", "vp", "sees the zebra"), ("2", "np", "a bird"), ("2", "vp", "sings"),
    ]  # fmt: skip
    wanted = [sum(bits[:2]), sum(bits[2:5]), sum(bits[5:7]), bits[7]]
    assert [float(row["surprisal_bits"]) for row in table(out)] == pytest.approx(wanted, rel=1e-5)
    each = table(call("score", runs[unit], items, "--input-columns", "id,roi,w", "--by", "word")[1])
    assert [float(row["surprisal_bits"]) for row in each] == pytest.approx(bits, rel=1e-5)
    assert [row["is_unk"] for row in each] == [row["is_unk"] for row in words]


def test_a_table_of_items_that_is_wrong_leaves_nothing(call: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    items, path = tmp_path / "items.tsv", tmp_path / "scores.tsv"
    items.write_text("item\tregion\tword\n" + "".join(f"{i}\t1\tdog\n" for i in range(5000)) + "7\t2\tcat\n")
    status, out, err = call("score", runs["word"], items, "--input-columns", "item,region,word", "-o", path)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {items}:5002: item 7 comes again; the rows of an item must stand together (")
    assert err.count("\n") == 1
    assert [found.name for found in tmp_path.iterdir()] == ["items.tsv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}", "nowhere"], "nowhere: No such file or directory; give the path of a text file"),
        (["{run}", "{empty}"], "empty.txt: empty; give a text with at least one line"),
        (["{run}", "{binary}"], "binary.txt:1: not UTF-8 at byte 4 of the line"),
        (["{run}", "{twice}", "--format", "kaldi"], "give --ids"),
        (["{run}", "{twice}", "--columns", "score"], "--columns: 'score': no such column; there are line, "),
        (["{run}", "{twice}", "-o", "scores.yaml"], "scores.yaml: a table of scores is written"),
        (["{run}", "{twice}", "--by", "region"], "give --input-columns ITEM,REGION,WORD too"),
        (["{run}", "{twice}", "--input-columns", "a,2"], "found 'a,2'; must name three columns"),
        (["{run}", "{twice}", "--input-columns", "a,2,w"], "twice.txt:1: there is no column 'w'; there are a, 2"),
    ],
)
def test_errors(refused: Callable[..., None], arguments: list[str], message: str) -> None:
    refused(["score", *arguments], message)


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_next_is_what_scoring_gives_each_token(call: Any, runs: dict[str, Path], unit: str) -> None:
    model = rnnlm.load(runs[unit])
    prefix = "the dog" if unit == "word" else "the do"
    found = model.next(prefix)
    assert sum(token.probability for token in found) == pytest.approx(1, abs=1e-6)
    assert [token.rank for token in found] == list(range(1, len(model.vocabulary) + 1))
    assert all(a.probability >= b.probability for a, b in itertools.pairwise(found))
    for token in found[:3]:
        if token.token in ("</s>", "\n", "<unk>"):
            continue
        text = f"{prefix} {token.token}" if unit == "word" else prefix + token.token
        last = model.surprisal(text, line_end=False)[-1]
        assert token.log_probability == pytest.approx(last.log_probability, rel=1e-5, abs=1e-6)
    shown = json.loads(call("next", runs[unit], prefix, "--top", 4, "--json")[1])
    assert [token["token"] for token in shown["next"]] == [token.token for token in found[:4]]
    out = call("next", runs[unit], prefix, "--top", 4)[1].splitlines()
    assert len(out) == 5
    assert out[0].split()[0] == "1"
    assert "all others" in out[-1]


def test_next_after_unknown_words_says_so(call: Any, runs: dict[str, Path]) -> None:
    status, _, err = call("next", runs["word"], "the zebra zebra")
    assert status == 0
    assert err == "warning: not in the vocabulary, read as <unk>: 'zebra'\n"
    assert "found the word </s>" in call("next", runs["word"], "the </s>")[2]


def test_next_at_the_beginning_of_a_text(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["word"])
    first = {token.token: token.log_probability for token in model.next()}
    assert first["the"] == pytest.approx(model.surprisal("the", line_end=False)[0].log_probability, rel=1e-5)
