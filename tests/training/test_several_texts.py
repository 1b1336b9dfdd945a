"""Training, validation and test on several texts, on shuffled lines, and on documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from records import run
from training_runs import assert_same_run, log_of, records, sha256, stopped_run, write_text

import rnnlm
from rnnlm import pipeline
from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.corpora import cache
from rnnlm.errors import InputError, ModelError
from rnnlm.files import model_file
from rnnlm.text.joined import Joined
from rnnlm.training.loop import train
from rnnlm.training.records import End, Valid
from rnnlm.work import Note


def with_data(config: Config, **data: Any) -> Config:
    values = config.model_dump()
    values["data"] |= data
    return config_file.validate(values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Texts a.txt, b.txt, c.txt, and whole.txt, which is a.txt once, b.txt twice and c.txt once."""
    texts = [write_text(tmp_path / f"{name}.txt", 12 + 4 * i, i).read_text() for i, name in enumerate("abc")]
    (tmp_path / "whole.txt").write_text(texts[0] + 2 * texts[1] + texts[2])
    return tmp_path


def several(folder: Path) -> list[Any]:
    return [str(folder / "a.txt"), {"path": str(folder / "b.txt"), "weight": 2}, str(folder / "c.txt")]


def test_several_texts_train_as_one_file_of_them_all(make_config: Any, folder: Path) -> None:
    config = make_config(batch=3)
    joined, one = (
        with_data(config, train=several(folder)),
        with_data(make_config(batch=3), train=str(folder / "whole.txt")),
    )
    losses = [[record.loss for record in records(c, Valid)] for c in (joined, one)]
    assert losses[0] == losses[1]
    weights = [model_file.load(c.run).parameters for c in (joined, one)]
    assert all(value.tobytes() == weights[1][name].tobytes() for name, value in weights[0].items())
    assert (Path(joined.run) / "vocab.txt").read_text() == (Path(one.run) / "vocab.txt").read_text()


def test_the_log_and_a_line_say_how_many_tokens_came_from_each(make_config: Any, folder: Path) -> None:
    config = with_data(make_config(max_updates=1), train=several(folder))
    said = [note.text for note in records(config, Note)]
    start = json.loads((Path(config.run) / "log.jsonl").read_text().splitlines()[0])
    tokens = {name: len((folder / f"{name}.txt").read_text().replace("\n", " . ").split()) for name in "abc"}
    assert start["files"] == {
        "train": [
            {"path": str(folder / "a.txt"), "weight": 1, "tokens": tokens["a"]},
            {"path": str(folder / "b.txt"), "weight": 2, "tokens": 2 * tokens["b"]},
            {"path": str(folder / "c.txt"), "weight": 1, "tokens": tokens["c"]},
        ]
    }
    assert said[:1] == [
        f"training text, {tokens['a'] + 2 * tokens['b'] + tokens['c']} tokens: {folder}/a.txt {tokens['a']}, "
        f"{folder}/b.txt 2 x {tokens['b']}, {folder}/c.txt {tokens['c']}"
    ]


def test_of_many_files_ten_are_named(make_config: Any, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for i in range(13):
        (tmp_path / "many" / f"{i:02}.txt").write_text("the dog\n" * 9)
    config = with_data(make_config(max_updates=1), train=str(tmp_path / "many"))
    (said,) = [note.text for note in records(config, Note) if note.text.startswith("training text")]
    assert said.endswith("09.txt 27 and 3 more files")
    assert len(json.loads((Path(config.run) / "log.jsonl").read_text().splitlines()[0])["files"]["train"]) == 13


def test_a_pattern_is_written_as_the_files_that_it_stood_for(
    make_config: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    config = with_data(make_config(epochs=1), train=[{"path": "[ab].txt", "weight": 3}], valid="valid.txt")
    list(train(config))
    kept = config_file.load(Path(config.run) / "config.yaml").data
    assert kept.named("train") == [(str(folder / "a.txt"), 3), (str(folder / "b.txt"), 3)]
    inside = model_file.load(config.run).config.data  # as it was given: its bytes know no folder
    assert (inside.named("train"), inside.valid) == ([("a.txt", 3), ("b.txt", 3)], "valid.txt")
    (folder / "ab.txt").write_text("no part of it\n")
    longer = config.model_copy(update={"train": config.train.model_copy(update={"epochs": 2})})
    assert records(longer, End, resume=True)[0].epoch == 2


@pytest.mark.parametrize("gone", ["a.txt", "valid.txt", "all"])
@pytest.mark.parametrize("named", ["list", "pattern", "run"])
def test_a_run_goes_on_where_a_text_is_gone(make_config: Any, folder: Path, gone: str, named: str) -> None:
    """With what is kept in the cache: the same bytes as of a run whose texts stayed."""
    names: Any = [str(folder / "[ab].txt"), str(folder / "c.txt")] if named == "pattern" else several(folder)
    whole, stopped = (with_data(make_config(epochs=2, patience=None), train=names) for _ in range(2))
    list(train(whole))
    taken = iter(range(100))
    assert list(train(stopped, stop=lambda: next(taken) == 4))[-1].reason == "interrupted"
    for path in folder.glob("*.txt") if gone == "all" else [folder / gone]:
        path.unlink()
    again = config_file.load(Path(stopped.run) / "config.yaml") if named == "run" else stopped
    found = list(train(again, resume=True))
    assert found[-1].reason == "epochs"
    said = [record.text for record in found if isinstance(record, Note)]
    assert any("no such file; the run goes on with what is kept of its texts in the cache" in text for text in said)
    assert sha256(whole) == sha256(stopped)
    kept = config_file.load(Path(stopped.run) / "config.yaml").data
    assert kept == config_file.load(Path(whole.run) / "config.yaml").data


def test_a_text_that_is_gone_and_not_kept(
    make_config: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_data(make_config(epochs=1), train=several(folder))
    list(train(config))
    (folder / "b.txt").unlink()
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "empty")
    with pytest.raises(ModelError, match=r"/b.txt: no such file; .*--set data.train=PATH goes on with it"):
        list(train(config, resume=True))


@pytest.mark.parametrize("change", ["content", "weight", "order", "more"])
def test_a_run_goes_on_with_its_own_texts_alone(make_config: Any, folder: Path, change: str) -> None:
    config = with_data(make_config(epochs=1), train=several(folder))
    list(train(config))
    a, b, c = several(folder)
    if change == "content":
        write_text(folder / "b.txt", 16, 77)
    names = {
        "content": [a, b, c],
        "weight": [a, b["path"], c],
        "order": [c, b, a],
        "more": [a, b, c, f"{folder}/valid.txt"],
    }
    with pytest.raises(ModelError, match=r"a?c?.txt and \d more: not the text that .* was trained with"):
        list(train(with_data(config, train=names[change]), resume=True))


def test_a_held_out_text_among_the_training_texts(make_config: Any, folder: Path) -> None:
    config = with_data(make_config(max_updates=1), train=str(folder / "[abv]*.txt"), test=str(folder / "a.txt"))
    said = [note.text for note in records(config, Note) if note.warning]
    assert said[:2] == [
        f"{folder}/{name}.txt: is among the training texts and is the {what} text too; its perplexity says nothing "
        "of other texts"
        for name, what in (("valid", "validation"), ("a", "test"))
    ]


def test_one_training_text_that_is_held_out_too(make_config: Any, folder: Path) -> None:
    config = with_data(make_config(max_updates=1), train=str(folder / "a.txt"), valid=str(folder / "a.txt"))
    said = next(note.text for note in records(config, Note) if note.warning)
    assert said.startswith(
        f"{folder}/a.txt: is the training text and is the validation text too; its perplexity says"
    )


# -- several validation and test texts


@pytest.fixture
def held_out(make_config: Any, folder: Path) -> Config:
    names = [str(folder / "a.txt"), str(folder / "b.txt")]
    config: Config = with_data(make_config(epochs=1, state="reset"), valid=names, test=names[::-1])
    return config


def test_each_file_has_its_own_figures(held_out: Config, folder: Path) -> None:
    """Under reset those that it has alone; together they are those of all."""
    found, told = run(pipeline.run(held_out))
    model = rnnlm.load(held_out.run)
    assert isinstance(model.own_text(), Joined)
    for name, order in (("valid", "ab"), ("test", "ba")):
        files = found[name]["files"]
        assert [file["path"] for file in files] == [str(folder / f"{o}.txt") for o in order]
        for file in files:
            alone = model.evaluate(path=file["path"])
            assert (file["tokens"], file["unknown"]) == (alone.tokens, alone.unknown)
            for key in ("perplexity", "perplexity_without_unk", "bits_per_token", "bits_per_character"):
                assert file[key] == pytest.approx(getattr(alone, key), rel=1e-6)
        bits = sum(file["bits_per_token"] * file["tokens"] for file in files)
        assert bits / found[name]["tokens"] == pytest.approx(found[name]["bits_per_token"], rel=1e-9)
    assert found["valid"]["perplexity"] == pytest.approx(found["best_perplexity"], rel=1e-5)
    each = ", ".join(f"{file['path']} {file['perplexity']:.4g}" for file in found["valid"]["files"])
    assert Note(f"validation perplexity of the best model by file: {each}") in told
    (test,) = [record for record in log_of(held_out) if record["event"] == "test"]
    assert test["files"] == {file["path"]: file["perplexity"] for file in found["test"]["files"]}


def test_eval_says_each_files_perplexity(held_out: Config, folder: Path, call: Any) -> None:
    rnnlm.train(held_out)
    status, out, _ = call("eval", held_out.run)
    assert status == 0
    assert out.splitlines()[0].split(maxsplit=1) == ["text", f"{folder}/b.txt and 1 more"]
    assert [line.split()[2] for line in out.splitlines() if line.startswith("perplexity of ")] == [
        f"{folder}/b.txt",
        f"{folder}/a.txt",
    ]
    table = folder / "table.tsv"
    status, out, _ = call("eval", held_out.run, "--per-token", table, "--json")
    assert status == 0
    tokens = [file["tokens"] for file in json.loads(out)["files"]]
    assert sum(tokens) == json.loads(out)["tokens"] == len(table.read_text().splitlines()) - 1
    status, _, err = call("eval", held_out.run, "--per-token", folder / "a.txt", "--force")
    assert (status, "this command reads it" in err) == (2, True)
    (folder / "a.txt").write_text("another\n")
    with pytest.raises(InputError, match=r"b.txt and 1 more: no longer the test text"):
        rnnlm.load(held_out.run).own_text()


# -- shuffled lines and documents


@pytest.mark.parametrize("train_on", ["one", "several"])
def test_a_stopped_run_on_shuffled_lines_ends_with_the_same_bytes(
    make_config: Any, folder: Path, train_on: str
) -> None:
    def config() -> Config:
        names = str(folder / "whole.txt") if train_on == "one" else several(folder)
        return with_data(make_config(state="reset", epochs=3, patience=None, batch=3), train=names, shuffle=True)

    whole = config()
    list(train(whole))
    assert_same_run(whole, stopped_run(config(), (5, 9)))


def test_shuffled_lines_train_another_network(make_config: Any) -> None:
    plain, shuffled, again = (make_config(state="reset", epochs=1) for _ in range(3))
    for config in (plain, with_data(shuffled, shuffle=True), with_data(again, shuffle=True)):
        list(train(config))
    assert sha256(plain) != sha256(shuffled)
    assert sha256(shuffled) == sha256(again)


def test_documents_carry_the_state_to_a_blank_line(make_config: Any, tmp_path: Path) -> None:
    """A text of documents is scored as each document by itself, by the oracle."""
    lines = (tmp_path / "train.txt").read_text().splitlines(keepends=True)
    documents = ["".join([*lines[i : i + 5], "\n"]) for i in range(0, 60, 5)]
    (tmp_path / "train.txt").write_text("".join(documents))
    (tmp_path / "valid.txt").write_text("".join(documents[:4]))
    config = with_data(make_config(epochs=1, precision="float64"), document="blank_line")
    list(train(config))
    model = rnnlm.load(config.run)
    assert model.trained.initial is None
    weights = {name: value.astype(np.float64) for name, value in model.parameters.items()}
    end = model.vocabulary.line_end
    wanted = np.concatenate(
        [
            oracle.log_probabilities(
                weights, model.vocabulary.encode(document.replace("\n", " </s> ").split()), end, "tanh"
            )
            for document in documents[:4]
        ]
    )
    found = model.evaluate(path=tmp_path / "valid.txt")
    assert found.state == "document"
    assert -found.bits_per_token * np.log(2) == pytest.approx(wanted.mean(), rel=1e-9)
    carried = model.evaluate(path=tmp_path / "valid.txt", state="carry")
    assert carried.perplexity != pytest.approx(found.perplexity, rel=1e-6)
    scores = model.surprisal((tmp_path / "valid.txt").read_text())
    np.testing.assert_allclose([-score.surprisal * np.log(2) for score in scores], wanted, rtol=1e-9)
    assert records(config, End, resume=True)[0].reason == "epochs"


def test_a_stopped_run_on_documents_ends_with_the_same_bytes(make_config: Any, tmp_path: Path) -> None:
    text = (tmp_path / "train.txt").read_text()
    (tmp_path / "train.txt").write_text(text.replace("\nthe ", "\n\nthe "))
    whole, stopped = (with_data(make_config(epochs=2), document="blank_line") for _ in range(2))
    list(train(whole))
    assert_same_run(whole, stopped_run(stopped, (4, 9)))


def test_a_sample_begins_anew_after_a_blank_line(make_config: Any, tmp_path: Path) -> None:
    """In the prompt and in what it has written itself: its probabilities are those of scoring."""
    (tmp_path / "train.txt").write_text((tmp_path / "train.txt").read_text().replace("\n", "\n\n"))
    config = with_data(make_config(epochs=3, learning_rate=0.3), document="blank_line")
    list(train(config))
    model = rnnlm.load(config.run)
    first, after, inside = (model.next(prompt) for prompt in ("", "the dog\n\n", "the dog\n"))
    assert [(token.token, token.probability) for token in after] == [(t.token, t.probability) for t in first]
    assert [token.probability for token in inside] != [token.probability for token in first]
    for options in ({}, {"top_k": 50}):
        (sample,) = model.sample_scored("the dog\n\n", 200, **options)
        assert "\n\n" in sample.text[9:]
        scores = model.surprisal(sample.text, line_end=False)[4:]
        np.testing.assert_allclose(
            sample.log_probabilities, [-score.surprisal * np.log(2) for score in scores], rtol=1e-4
        )
