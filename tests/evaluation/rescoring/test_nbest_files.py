"""Files of n-best lists and of references: bad ones first."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from rnnlm.errors import InputError, RnnlmError, TextError
from rnnlm.evaluation.rescoring.nbest_files import Hypothesis, Names, read, references

HEADER = "utterance\ttext\tscore\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.tsv", "", "x.tsv: empty; give at least one hypothesis"),
        ("x.tsv", HEADER, "x.tsv: empty; give at least one hypothesis"),
        ("x.tsv", HEADER + "u\ta\n", "x.tsv:2: 2 columns, where the header has 3"),
        ("x.tsv", HEADER + "u\ta\t1\tb\n", "x.tsv:2: 4 columns, where the header has 3"),
        ("x.tsv", HEADER + "u\ta\t1\n\nu\ta\t1\n", "x.tsv:3: 1 columns, where the header has 3"),
        ("x.tsv", HEADER + "u\ta\tnan\n", "x.tsv:2: score: found 'nan'; must be a number"),
        ("x.tsv", HEADER + "u\ta\t\n", "x.tsv:2: score: found ''; must be a number"),
        ("x.tsv", HEADER + " \ta\t1\n", "x.tsv:2: utterance: empty; each hypothesis belongs to an utterance"),
        ("x.tsv", "utt\ttext\tscore\nu\ta\t1\n", "x.tsv:2: there is no utterance; there are utt, text, score"),
        ("x.tsv", "utterance\ttext\tam\nu\ta\t1\n", "x.tsv:2: there is no score; there are utterance, text, am"),
        ("x.tsv", "text\ttext\tscore\nu\ta\t1\n", "x.tsv:1: the column 'text' is there twice"),
        (
            "x",
            "u-1 a b\nu-2 a\n",
            "x: one column; a table has utterance, text, score, and Kaldi's text goes with --c",
        ),
        ("x.jsonl", "", "x.jsonl: empty; give at least one hypothesis"),
        ("x.jsonl", "\n", "x.jsonl:1: an empty line"),
        ("x.jsonl", '{"utterance": "u", "text": "a"}\n', "x.jsonl:1: there is no score"),
        ("x.jsonl", '{"utterance": "u", "text": "a", "score": NaN}\n', "x.jsonl:1: score: found nan; must be a"),
        ("x.jsonl", '{"utterance": "u", "text": "a", "score": null}\n', "x.jsonl:1: score: found None; must be a"),
        ("x.jsonl", '{"utterance": 1, "text": "a", "score": 1}\n', "x.jsonl:1: utterance: found 1; must be a text"),
        ("x.jsonl", '{"utterance": "u", "text": "a\\nb", "score": 1}\n', "x.jsonl:1: text: found .*; must be one li"),
        ("x.jsonl", '{"utterance": "u", "hypotheses": []}\n', "x.jsonl:1: hypotheses: found .*; must be a list of o"),
        ("x.jsonl", '{"utterance": "u", "hypotheses": ["a"]}\n', "x.jsonl:1: hypotheses: found .*; must be a list"),
    ],
)
def test_lists_that_are_wrong(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(TextError, match=message):
        read(path, Names())


def test_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes(HEADER.encode() + b"u\ta\xff\t1\n")
    with pytest.raises(TextError, match="x.tsv:2: not UTF-8 at byte 4"):
        read(path, Names())


def test_tables(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text('more\tscore\tutterance\ttext\n\t-1.5\tu\ta b\n\t2\tv\t\n\t3\tu\t"a" \\b\n')
    assert read(path, Names()) == [
        Hypothesis("u", "a b", -1.5, None, f"{path}:2"),
        Hypothesis("v", "", 2.0, None, f"{path}:3"),
        Hypothesis("u", '"a" \\b', 3.0, None, f"{path}:4"),
    ]
    path.write_text("id\thyp\tam\tlm\nu\ta b\t1\t2\n")
    assert read(path, Names("id", "hyp", "am", "lm")) == [Hypothesis("u", "a b", 1.0, 2.0, f"{path}:2")]
    with pytest.raises(TextError, match="x.tsv:2: there is no old; there are id, hyp, am, lm"):
        read(path, Names("id", "hyp", "am", "old"))


def test_objects(tmp_path: Path) -> None:
    """One a hypothesis or one an utterance."""
    path, packed = tmp_path / "x.jsonl", tmp_path / "y.jsonl.gz"
    rows = [{"utterance": "u", "text": "é b", "score": -1}, {"utterance": "u", "text": "", "score": "2.5"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = {"utterance": "u", "hypotheses": [{"text": row["text"], "score": row["score"]} for row in rows]}
    packed.write_bytes(gzip.compress(json.dumps(whole).encode()))
    assert [one[:4] for one in read(path, Names())] == [("u", "é b", -1.0, None), ("u", "", 2.5, None)]
    assert [one[:4] for one in read(packed, Names())] == [("u", "é b", -1.0, None), ("u", "", 2.5, None)]
    assert [one.where for one in read(packed, Names())] == [f"{packed}:1"] * 2


def kaldi(folder: Path, text: str, costs: str, old: str | None = None) -> list[Hypothesis]:
    (folder / "words_text").write_text(text)
    (folder / "acwt").write_text(costs)
    if old is not None:
        (folder / "lmwt").write_text(old)
    return read(folder / "words_text", Names(), folder / "acwt", None if old is None else folder / "lmwt")


def test_kaldis_files(tmp_path: Path) -> None:
    """A cost is a negated score; ids are in any order; a hypothesis may have no word."""
    found = kaldi(
        tmp_path, "a-b-1 the  dog\na-b-10 dog\na-b-2\nc-1 x\n", "c-1 -4\na-b-1 1.5\na-b-2 2\na-b-10 3\n",
        "a-b-1 10\na-b-2 20\na-b-10 30\nc-1 40\n",
    )  # fmt: skip
    assert [one[:4] for one in found] == [
        ("a-b", "the dog", -1.5, -10.0), ("a-b", "", -2.0, -20.0), ("a-b", "dog", -3.0, -30.0),
        ("c", "x", 4.0, -40.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "costs", "message"),
    [
        ("u-1 a\n", "", "acwt: no cost of u-1 (.*words_text:1)"),
        ("u-1 a\n", "u-1 1\nu-2 1\n", "acwt:2: u-2: .*words_text has no hypothesis of this id"),
        ("u-1 a\nu-1 b\n", "u-1 1\n", "words_text:2: the id u-1 is there already (.*words_text:1)"),
        ("u-1 a\n", "u-1 1\nu-1 2\n", "acwt:2: the id u-1 is there already"),
        ("u-1 a\n", "u-1\n", "acwt:1: u-1: found ''; must be a number"),
        ("u-1 a\n", "u-1 1 2\n", "acwt:1: u-1: found '1 2'; must be a number"),
        ("u-1 a\n", "u-1 nan\n", "acwt:1: u-1: found 'nan'; must be a number"),
        ("u-1 a\n", "u-1 [ 1 2 ]\n", "acwt:1: u-1: found .*; must be a number"),
        ("u-1 a\n\n", "u-1 1\n", "words_text:2: an empty line; each line begins with an id"),
        ("u a\n", "u 1\n", "words_text:1: found the id u; must be UTTERANCE-N"),
        ("-1 a\n", "-1 1\n", "words_text:1: found the id -1; must be UTTERANCE-N"),
        ("u-x a\n", "u-x 1\n", "words_text:1: found the id u-x; must be UTTERANCE-N"),
        ("", "", "words_text: empty; give at least one hypothesis"),
    ],
)
def test_kaldis_files_that_are_wrong(tmp_path: Path, text: str, costs: str, message: str) -> None:
    with pytest.raises(TextError, match=message.replace("(", r"\(").replace(")", r"\)")):
        kaldi(tmp_path, text, costs)


def test_old_costs_without_costs(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("u-1 a\n")
    with pytest.raises(InputError, match="--old-costs goes with --costs"):
        read(tmp_path / "x", Names(), None, tmp_path / "x")


def test_references(tmp_path: Path) -> None:
    for name, content in (
        ("x.txt", "u the dog\nv\n"),
        ("x.tsv", "text\tutterance\nthe dog\tu\n\tv\n"),
        ("x.jsonl", '{"utterance": "u", "text": "the dog"}\n{"utterance": "v", "text": ""}\n'),
    ):
        (tmp_path / name).write_text(content)
        assert references(tmp_path / name, Names(), ["u"]) == {"u": "the dog", "v": ""}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", "", "x.txt: no reference of u and of 1 more"),
        ("x.txt", "v a\n", "x.txt: no reference of u; each utterance must have one"),
        ("x.txt", "u a\n\n", "x.txt:2: an empty line"),
        ("x.txt", "u a\nu a\n", "x.txt:2: the id u is there already"),
        ("x.tsv", "utterance\ttext\nu\ta\nu\ta\n", "x.tsv:3: a second reference of u; each utterance has one"),
        ("x.tsv", "utterance\twords\nu\ta\n", "x.tsv:2: there is no text; there are utterance, words"),
        ("nowhere.txt", None, "nowhere.txt: No such file"),
    ],
)
def test_references_that_are_wrong(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(RnnlmError, match=message):
        references(tmp_path / name, Names(), ["u", "v"])
