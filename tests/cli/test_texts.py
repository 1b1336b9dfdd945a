"""A text that is not in UTF-8, in words with punctuation apart: from the configuration to every command."""

from __future__ import annotations

import csv
import io
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

import rnnlm
from rnnlm import api
from rnnlm.errors import InputError
from rnnlm.interchange import targets

pytest.importorskip("regex")

LINES = ['"Très bien," dit-il.', "L'été (déjà) arrive…", "Il arrive; elle dit: «non».", "Où est-il? - Là-bas!"]
TEXT = "Où est-elle? - Là-bas, zèbre!\n\n«Non», dit-il.\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts in cp1252, a copy of the test text in UTF-8, and a run."""
    folder = tmp_path_factory.mktemp("texts")
    generator = random.Random(1)
    for name, count in (("train", 200), ("valid", 20), ("test", 20)):
        text = "".join(generator.choice(LINES) + "\n" for _ in range(count))
        (folder / f"{name}.txt").write_text(text, encoding="cp1252")
    (folder / "copy.txt").write_text((folder / "test.txt").read_text(encoding="cp1252"), encoding="utf-8")
    (folder / "my.txt").write_text(TEXT, encoding="cp1252")
    (folder / "utf8.txt").write_text(TEXT, encoding="utf-8")
    (folder / "my.yaml").write_text(json.dumps(settings(folder)))
    api.train(settings(folder))
    return folder


def settings(folder: Path, run: str = "run", **train: Any) -> dict[str, Any]:
    texts = {name: str(folder / f"{name}.txt") for name in ("train", "valid", "test")}
    return {
        "data": {**texts, "tokenizer": "unicode", "encoding": "Windows-1252"},
        "embedding": {"size": 12},
        "model": {"cell": "gru", "hidden": 24},
        "train": {
            "bptt": 8,
            "batch": 4,
            "epochs": 4,
            "optimizer": "adam",
            "learning_rate": 0.02,
            "threads": 1,
            **train,
        },
        "run": str(folder / run),
    }


def test_the_run_says_how_its_texts_are_read(folder: Path) -> None:
    model = rnnlm.load(folder / "run")
    assert (model.config.data.tokenizer, model.config.data.encoding) == ("unicode", "cp1252")
    assert {"«￭", "￭»", "￭.", "￭-￭", "L'été"} <= set(model.vocabulary.tokens)
    assert "words with punctuation apart" in repr(model)


def test_what_is_sampled_is_spelled_as_the_text_is(call: Any, folder: Path) -> None:
    status, out, _ = call("sample", folder / "run", "--samples", 8, "--line", "--temperature", 0.3, "--quiet")
    assert status == 0
    lines = [line for line in out.splitlines() if line and not line.startswith("---")]
    assert set(lines) <= set(LINES)
    model = rnnlm.load(folder / "run")
    (found,) = model.sample_scored("«Non", 30, stop_at_line_end=True, temperature=0)
    surprisal = model.surprisal(found.text, "carry")
    assert [s.token for s in surprisal][-len(found.tokens) :] == found.tokens


def test_the_own_text_is_read_in_its_encoding_and_any_other_as_one_says(call: Any, folder: Path) -> None:
    own = json.loads(call("eval", folder / "run", "--json")[1])
    copy = json.loads(call("eval", folder / "run", folder / "copy.txt", "--json")[1])
    given = json.loads(call("eval", folder / "run", folder / "test.txt", "--encoding", "cp1252", "--json")[1])
    for one in (own, copy, given):
        for key in ("text", "seconds", "tokens_per_second"):
            del one[key]
    assert own == given == copy
    assert own["unknown"] == 0
    assert own["baseline"] is not None
    model = rnnlm.load(folder / "run")
    found = model.evaluate(path=folder / "test.txt", encoding="Windows-1252")
    assert found.perplexity == own["perplexity"]
    status, out, err = call("eval", folder / "run", folder / "test.txt")
    assert (status, out) == (2, "")
    assert "test.txt: not UTF-8 at byte" in err.splitlines()[-1]
    assert "--encoding" in err.splitlines()[-1]
    status, _, err = call("eval", folder / "run", "--encoding", "cp1252")
    assert status == 2
    assert "--encoding goes with a TEXT" in err


def table(output: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(output), delimiter="\t"))


def test_words_stand_between_white_space_and_have_their_punctuation(call: Any, folder: Path) -> None:
    run, text = folder / "run", folder / "my.txt"
    lines = table(call("score", run, text, "--encoding", "cp1252")[1])
    assert lines == table(call("score", run, folder / "utf8.txt")[1])
    found = json.loads(call("eval", run, folder / "utf8.txt", "--state", "reset", "--json")[1])
    bits = -sum(float(row["log_probability"]) for row in lines) / math.log(2)
    assert bits == pytest.approx(found["bits_per_token"] * found["tokens"], rel=1e-9)
    words = table(call("score", run, text, "--by", "word", "--encoding", "cp1252")[1])
    assert [row["word"] for row in words if row["word"] != "</s>"] == TEXT.split()
    tokens = rnnlm.load(run).surprisal(TEXT, "reset")
    rest = iter(tokens)
    for row in words:  # each is the sum of its own tokens
        own = [next(rest) for _ in range(int(row["tokens"]))]
        assert float(row["surprisal_bits"]) == pytest.approx(sum(token.surprisal for token in own), rel=1e-9)
        assert "".join(token.token.strip("￭") for token in own) == row["word"]
    assert next(rest, None) is None
    assert [row["word"] for row in words if row["is_unk"] in ("1", "True")] == ["zèbre!", "«Non»,"]
    items = "item\tregion\tword\n" + "".join(
        f"1\t{i // 2}\t{w}\n" for i, w in enumerate(TEXT.splitlines()[0].split())
    )
    (folder / "items.tsv").write_text(items, encoding="cp1252")
    options = ["--input-columns", "item,region,word", "--no-line-end", "--encoding", "cp1252"]
    regions = table(call("score", run, folder / "items.tsv", *options)[1])
    line = float(table(call("score", run, folder / "utf8.txt", "--no-line-end")[1])[0]["log_probability"])
    assert sum(float(row["log_probability"]) for row in regions) == pytest.approx(line, rel=1e-9)
    with pytest.raises(InputError, match="this is a model of words with punctuation apart"):
        rnnlm.load(run).words(TEXT, entropy=True)
    err = call("score", run, folder / "utf8.txt", "--format", "surprisal")[2]
    assert "this is a model of words with punctuation apart: --by word" in err


def test_every_command_that_reads_a_text_takes_its_encoding(call: Any, folder: Path, tmp_path: Path) -> None:
    run, good, bad = folder / "run", tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text("Il arrive; là-bas.\n", encoding="cp1252")
    bad.write_text("Il là-bas; arrive.\n", encoding="cp1252")
    nbest = "utterance\ttext\tscore\nu\tIl arrive; déjà.\t-1\nu\tIl arrive, déjà.\t-1\n"
    (tmp_path / "nbest.tsv").write_text(nbest, encoding="cp1252")
    (tmp_path / "spoken").write_text("u Il arrive; déjà.\n", encoding="cp1252")
    for arguments in (
        ["pairs", run, good, bad],
        ["compare", run, run, folder / "test.txt", "--draws", 100],
        ["rescore", run, tmp_path / "nbest.tsv", "--weight", 1, "--references", tmp_path / "spoken"],
        ["sample", run, "--prompts", good, "--tokens", 3],
        ["gradcheck", run, folder / "test.txt", "--steps", 3, "--numbers", 2],
        ["init", folder / "test.txt", "-o", tmp_path / "made.yaml"],
    ):
        status, _, err = call(*arguments, "--encoding", "cp1252")
        assert status == 0, (arguments, err)
        if arguments[0] != "init":  # which takes bytes then
            status, _, err = call(*arguments)
            assert status == 2, arguments
            assert "not UTF-8 at byte" in err
    assert "  encoding: cp1252\n" in (tmp_path / "made.yaml").read_text()
    assert "'nonsense' is no encoding of texts" in call("eval", run, good, "--encoding", "nonsense")[2]
    assert "--encoding goes with --prompts" in call("sample", run, "--encoding", "cp1252")[2]


def test_commands_of_a_configuration_read_its_encoding(call: Any, folder: Path, tmp_path: Path) -> None:
    status, _, err = call("vocab", folder / "my.yaml", "-o", tmp_path / "vocab.txt")
    assert status == 0, err
    assert (tmp_path / "vocab.txt").read_text() == (folder / "run/vocab.txt").read_text()
    utf8 = ["--set", "data.encoding=utf-8"]
    status, _, err = call("vocab", folder / "my.yaml", "-o", tmp_path / "other.txt", *utf8)
    assert status == 2
    assert "train.txt: not UTF-8 at byte" in err
    assert call("vocab", folder / "my.yaml", "-o", tmp_path / "third.txt", *utf8, "--encoding", "cp1252")[0] == 0
    assert (tmp_path / "third.txt").read_text() == (tmp_path / "vocab.txt").read_text()
    found = json.loads(call("ngram", folder / "my.yaml", "-o", tmp_path / "3.arpa", "--order", 3, "--json")[1])
    mixed = json.loads(
        call("eval", folder / "run", "--with", tmp_path / "3.arpa", "--state", "reset", "--json", "--quiet")[1]
    )
    (arpa,) = [part for part in mixed["parts"] if "arpa" in part["name"]]
    assert arpa["alone"]["perplexity"] == pytest.approx(found["test"]["perplexity"], rel=1e-4)


def test_one_text_is_cut_into_parts_in_utf_8(call: Any, folder: Path) -> None:
    values = settings(folder, "cut", epochs=1)
    values["data"] = {"text": str(folder / "train.txt"), "tokenizer": "unicode", "encoding": "cp1252"}
    model = api.train(values)
    parts = [(folder / "cut/text" / f"{name}.txt").read_text(encoding="utf-8") for name in ("train", "valid", "test")]
    assert "".join(parts) == (folder / "train.txt").read_text(encoding="cp1252")
    assert call("eval", folder / "cut", "--json")[0] == 0
    values["train"]["epochs"] = 2
    assert api.train(values, resume=True).trained.training["epoch"] == 2
    assert model.vocabulary.tokenizer == "unicode"


def test_a_run_goes_on_with_the_same_bytes(folder: Path) -> None:
    api.train(settings(folder, "half", epochs=2))
    api.train(settings(folder, "half"), resume=True)
    one, other = ((folder / run / "model.safetensors").read_bytes() for run in ("run", "half"))
    assert one == other
    values = settings(folder, "half")
    values["data"]["tokenizer"] = "whitespace"
    with pytest.raises(InputError, match=r"data.tokenizer"):
        api.train(values, resume=True)


@pytest.mark.parametrize("target", ["hf", "sherpa", "espnet", "web"])
def test_exports_that_cut_words_at_white_space_are_refused(
    call: Any, folder: Path, tmp_path: Path, target: str
) -> None:
    status, out, err = call("export", folder / "run", "--to", target, "-o", tmp_path / "made")
    assert (status, out) == (2, "")
    assert err.startswith(f"error: the export to {target} cuts words at white space alone")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "made").exists() or not list((tmp_path / "made").iterdir())


@pytest.mark.parametrize("target", ["pytorch", "word2vec"])
def test_exports_of_the_network_alone_are_not(folder: Path, tmp_path: Path, target: str) -> None:
    assert targets.TARGETS[target].write(rnnlm.load(folder / "run").trained, tmp_path / "made.txt")


def test_vectors_of_a_mark_go_to_its_tokens(call: Any, folder: Path, tmp_path: Path) -> None:
    vectors = {".": 1.0, "«": 2.0, "dit": 3.0, "￭-￭": 4.0, "-": 5.0}
    rows = "".join(f"{word} {' '.join([str(value)] * 12)}\n" for word, value in vectors.items())
    (tmp_path / "vectors.txt").write_text(rows, encoding="utf-8")
    init = {"type": "file", "path": str(tmp_path / "vectors.txt")}
    made = tmp_path / "made.txt"
    status, _, err = call("embed", folder / "my.yaml", "-o", made, "--set", f"embedding.init={json.dumps(init)}")
    assert status == 0, err
    found = {line.split()[0]: float(line.split()[1]) for line in made.read_text(encoding="utf-8").splitlines()[1:]}
    rows_of = [found[token] / found["￭."] for token in ("￭.", "«￭", "dit", "￭-￭", "-")]
    assert rows_of == pytest.approx([1, 2, 3, 4, 5], rel=1e-6), "all scaled alike"
