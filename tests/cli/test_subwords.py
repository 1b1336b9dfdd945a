"""A model of subwords, from the configuration to every command."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import subword_models
from training_runs import assert_same_run, stopped_run

import rnnlm
from rnnlm import api
from rnnlm.config import file as config_file
from rnnlm.errors import ModelError
from rnnlm.files import model_file
from rnnlm.training.loop import train
from rnnlm.work import run_to_end

sentencepiece = pytest.importorskip("sentencepiece")
pytest.importorskip("tokenizers")

LINES = subword_models.sentences(400)
TEXT = "the  dogs walked, \tquickly 😀\n\nZebras of naïve houses </s>\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts, and a run with subwords of its own."""
    folder = tmp_path_factory.mktemp("subwords")
    for name, lines in (("train", LINES[:300]), ("valid", LINES[300:350]), ("test", LINES[350:])):
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    (folder / "my.txt").write_text(TEXT)
    config = settings(folder)
    (folder / "my.yaml").write_text(json.dumps(config))
    api.train(config)
    return folder


def settings(folder: Path, run: str = "run", subwords: Any = None, **train: Any) -> dict[str, Any]:
    texts = {name: str(folder / f"{name}.txt") for name in ("train", "valid", "test")}
    return {
        "data": {**texts, "unit": "subword", "subwords": subwords or {"type": "bpe", "size": 340}},
        "embedding": {"size": 12},
        "model": {"cell": "gru", "hidden": 24},
        "train": {
            "bptt": 8, "batch": 4, "epochs": 2, "optimizer": "adam", "learning_rate": 0.02, "threads": 1, **train,
        },
        "run": str(folder / run),
    }  # fmt: skip


def surprisals(model: rnnlm.LanguageModel, line: str) -> list[tuple[str, float]]:
    """Each token of a line and its bits, by what is given for a text of one line."""
    return [(token.token, token.surprisal) for token in model.surprisal(line, "reset")]


def test_the_run_has_all_that_scoring_needs(folder: Path, tmp_path: Path) -> None:
    run = folder / "run"
    data = (run / "subwords.model").read_bytes()
    model = rnnlm.load(run)
    assert (len(model.vocabulary), model.vocabulary.unk) == (340, None)
    assert model.vocabulary.tokenizer.data == data
    assert "340 subwords" in repr(model)
    shutil.copytree(run, tmp_path / "moved")
    (tmp_path / "moved" / "subwords.model").unlink()
    (tmp_path / "moved" / "vocab.txt").unlink()
    assert rnnlm.load(tmp_path / "moved").perplexity(TEXT) == model.perplexity(TEXT)


def test_eval_against_the_sum_of_the_surprisals(call: Any, folder: Path) -> None:
    found = json.loads(call("eval", folder / "run", folder / "my.txt", "--state", "reset", "--json")[1])
    model = rnnlm.load(folder / "run")
    library = sentencepiece.SentencePieceProcessor(model_file=str(folder / "run" / "subwords.model"))
    each = []
    for line in TEXT.splitlines():
        tokens, bits = zip(*surprisals(model, f"{line}\n"), strict=True)
        assert tokens == (*library.encode(line, out_type=str), "</s>")
        each += bits
    bits, words, lines = math.fsum(each), len(TEXT.split()), TEXT.count("\n")
    assert (found["tokens"], found["unknown"], found["line_ends"], found["words"]) == (len(each), 0, lines, words)
    assert found["comparable"]
    wanted = (2 ** (bits / len(each)), 2 ** (bits / (words + lines)), bits / len(TEXT))
    got = (found["perplexity"], found["word_perplexity"], found["bits_per_character"])
    assert got == pytest.approx(wanted, rel=1e-5)
    assert model.evaluate(text=TEXT, state="reset").word_perplexity == pytest.approx(wanted[1], rel=1e-5)
    out = call("eval", folder / "run", folder / "my.txt", "--state", "reset")[1]
    assert "perplexity per piece" in out
    assert "perplexity per word" in out
    assert f"({words} words between white space; line ends counted)" in out


@pytest.mark.parametrize("line", TEXT.splitlines() + ["  two  words  ", " ", "x", "a\tb "])
def test_a_word_is_the_sum_of_its_pieces(folder: Path, line: str) -> None:
    model = rnnlm.load(folder / "run")
    words = model.words([line])
    assert [word.word for word in words] == [*line.split(), "</s>"]
    tokens = surprisals(model, line + "\n")
    assert sum(word.tokens for word in words) == len(tokens)
    first = 0
    for word in words:
        own = tokens[first : first + word.tokens]
        assert word.surprisal == pytest.approx(math.fsum(bits for _, bits in own), rel=1e-5)
        spelled = model.vocabulary.tokenizer.library.joined([piece for piece, _ in own if piece != "</s>"])
        assert spelled.strip() == (word.word if word.end > word.start else "")
        first += word.tokens
    without = model.words([line], line_end=False)
    assert [word.word for word in without] == line.split()
    bits = math.fsum(bits for _, bits in tokens[:-1]) if without else 0
    assert math.fsum(word.surprisal for word in without) == pytest.approx(bits, rel=1e-5)


def table(output: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(output), delimiter="\t"))


def test_scores_by_line_and_word(call: Any, folder: Path) -> None:
    lines = table(call("score", folder / "run", folder / "my.txt")[1])
    words = table(call("score", folder / "run", folder / "my.txt", "--by", "word")[1])
    for number, line in enumerate(lines, 1):
        own = [float(word["surprisal_bits"]) for word in words if word["line"] == str(number)]
        nats = -math.fsum(own) * math.log(2)
        assert float(line["log_probability"]) == pytest.approx(nats, rel=1e-4)


def test_what_is_sampled_is_spelled_as_the_text_is(call: Any, folder: Path) -> None:
    status, out, _ = call("sample", folder / "run", "--samples", 3, "--tokens", 20, "--prompt", "the dog", "--quiet")
    assert status == 0
    assert "▁" not in out
    model = rnnlm.load(folder / "run")
    (found,) = model.sample_scored("the dog", 30, stop_at_line_end=True, temperature=0)
    assert "".join(found.written) == found.text.removeprefix("the dog")
    assert found.text == model.vocabulary.decode(model.vocabulary.encode(model.vocabulary.split(found.text)))


def test_a_run_that_is_stopped_ends_with_the_same_bytes(folder: Path) -> None:
    whole, stopped = (config_file.validate(settings(folder, run)) for run in ("whole", "stopped"))
    run_to_end(train(whole))
    assert_same_run(whole, stopped_run(stopped, (5, 9)))
    assert (folder / "stopped" / "subwords.model").read_bytes() == (folder / "run" / "subwords.model").read_bytes()


def test_a_run_goes_on_without_the_file_of_its_model(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(subword_models.byte_level().data)
    config = settings(folder, "file", str(path), epochs=1)
    api.train(config)
    assert (folder / "file" / "tokenizer.json").read_bytes() == path.read_bytes()
    path.unlink()
    api.train(settings(folder, "file", str(path)), resume=True)
    model = rnnlm.load(folder / "file")
    assert model.trained.training["epoch"] == 2
    assert model.score(TEXT)[0].unknown == 0
    shutil.move(folder / "file", tmp_path / "moved")
    assert rnnlm.load(tmp_path / "moved").sample("the", 5, seed=1) == model.sample("the", 5, seed=1)


def test_vocab_writes_the_model_beside_the_vocabulary(call: Any, folder: Path, tmp_path: Path) -> None:
    status, out, _ = call("vocab", folder / "my.yaml", "-o", tmp_path / "v.txt")
    assert status == 0
    assert "v.txt: 340 tokens" in out
    assert (tmp_path / "v.txt").read_text() == (folder / "run" / "vocab.txt").read_text()
    assert (tmp_path / "v.model").read_bytes() == (folder / "run" / "subwords.model").read_bytes()
    (tmp_path / "v.txt").unlink()
    status, _, err = call("vocab", folder / "my.yaml", "-o", tmp_path / "v.txt")
    assert (status, "v.model" in err) == (2, True)
    # The same vocabulary from the two files.
    both = settings(folder, "two files", str(tmp_path / "v.model"))
    both["vocab"] = {"file": str(folder / "run" / "vocab.txt")}
    api.train(both)
    assert rnnlm.load(folder / "two files").perplexity(TEXT) == rnnlm.load(folder / "run").perplexity(TEXT)


def test_a_model_of_another_kind_in_a_line(call: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.model").write_text("no model")
    status, _, err = call(
        "vocab", folder / "my.yaml", "-o", tmp_path / "v.txt", "--set", f"data.subwords={tmp_path}/bad.model"
    )
    assert status == 2
    assert err.strip().count("\n") == 0
    assert "bad.model: neither a model of sentencepiece (.model) nor one of tokenizers" in err
    status, _, err = call("vocab", folder / "my.yaml", "-o", tmp_path / "v.txt", "--set", "data.subwords.size=50000")
    assert (status, "data.subwords.size: found 50,000; " in err) == (2, True)


def test_plan_and_inspect(call: Any, folder: Path) -> None:
    status, out, err = call("train", folder / "my.yaml", "--plan", "--run", folder / "planned")
    assert status == 0, err
    assert "340" in out
    assert not (folder / "planned").exists()
    out = call("inspect", folder / "run")[1]
    assert hashlib.sha256((folder / "run" / "subwords.model").read_bytes()).hexdigest() in "".join(out.split())
    found = json.loads(call("inspect", folder / "run", "--json")[1])
    assert found["subwords"]["made_by"] == "sentencepiece"


def test_a_damaged_model_in_the_header(folder: Path) -> None:
    trained = model_file.load(folder / "run")
    header = model_file.header(trained.config, trained.vocabulary, trained.training)
    for subwords, message in (
        (None, "subwords: missing"),
        ({**header["subwords"], "sha256": "0"}, "subwords: not the model of this hash"),
        ({**header["subwords"], "model": "?"}, "damaged"),
    ):
        with pytest.raises(ModelError, match=message):
            model_file.read_header("here", header | {"subwords": subwords})


def test_a_run_starts_from_another_by_its_pieces(folder: Path) -> None:
    config = settings(folder, "finer", {"type": "bpe", "size": 380}, epochs=1)
    config["train"]["from"] = str(folder / "run")
    api.train(config)
    old, new = rnnlm.load(folder / "run"), rnnlm.load(folder / "finer")
    assert new.trained.training["source"]["matched"] == len(set(old.vocabulary.tokens) & set(new.vocabulary.tokens))
    assert new.trained.training["source"]["new"] == 380 - new.trained.training["source"]["matched"] > 0
    assert np.isfinite(new.perplexity(TEXT))


@pytest.mark.parametrize("target", ["web", "hf", "sherpa", "espnet"])
def test_exports_that_have_no_subwords(call: Any, folder: Path, tmp_path: Path, target: str) -> None:
    status, _, err = call("export", folder / "run", "--to", target, "-o", tmp_path / "made")
    assert status == 2
    assert err.startswith(f"error: the export to {target} has no subwords, and this model has data.unit: subword")
    assert not (tmp_path / "made").exists()


def test_compare_with_a_model_of_words(call: Any, folder: Path) -> None:
    words = settings(folder, "words")
    words["data"] |= {"unit": "word"}
    del words["data"]["subwords"]
    api.train(words)
    found = json.loads(call("compare", folder / "run", folder / "words", folder / "test.txt", "--json")[1])
    assert [difference["unit"] for difference in found["differences"]] == ["character"]
    own = json.loads(call("eval", folder / "run", folder / "test.txt", "--json")[1])
    assert found["bits_per_character"][0] == pytest.approx(own["bits_per_character"], rel=1e-5)
