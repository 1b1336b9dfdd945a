"""A trained network from Python: what it says of texts and what is left behind."""

from __future__ import annotations

import copy
import math
import pickle
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rnnlm
from rnnlm.errors import InputError, TextError


@pytest.fixture(scope="module")
def model(runs: dict[str, Path]) -> rnnlm.LanguageModel:
    return rnnlm.load(runs["word"])


def test_the_runs_own_text(runs: dict[str, Path], tmp_path: Path) -> None:
    model = rnnlm.load(runs["word"])
    assert str(model.own_text()) == model.config.data.test
    data = model.config.data.model_copy(update={"test": str(tmp_path / "gone"), "valid": None})
    config = model.config.model_copy(update={"data": data})
    model.trained = replace(model.trained, config=config, path=tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="give a TEXT"):
        model.own_text()


def test_nothing_is_left_in_the_temporary_folder(model: rnnlm.LanguageModel, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    text = Path(str(model.config.data.test))
    model.evaluate(path=text)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_surprisal_adds_up_to_the_perplexity(runs: dict[str, Path], unit: str) -> None:
    model = rnnlm.load(runs[unit])
    text = "the dog sees the zebra\nébène\n"
    scores = model.surprisal(text)
    mean = sum(score.surprisal for score in scores) / len(scores)
    assert model.perplexity(text) == pytest.approx(2**mean, rel=1e-6)
    assert sum(score.is_unk for score in scores) == {"word": 2, "char": 3, "byte": 0}[unit]
    joined = (" " if unit == "word" else "").join(score.token for score in scores).replace(" </s> ", "\n")
    wanted = text.encode().decode("latin-1") if unit == "byte" else text
    assert joined.replace(" </s>", "\n") == wanted, "the text's own tokens, also where they are unknown"


def test_a_string_scores_as_the_file_of_it(runs: dict[str, Path], tmp_path: Path) -> None:
    for folder in runs.values():
        model = rnnlm.load(folder)
        for text in ("the dog sleeps\n", "the dog\r\nsees é\n\n", "a bird", "a bird\n ", "\n", "\n\r", " "):
            path = tmp_path / "text.txt"
            path.write_bytes(text.encode())
            in_memory, on_disk = model.evaluate(text=text), model.evaluate(path=path)
            assert in_memory.perplexity == on_disk.perplexity
            assert (in_memory.tokens, in_memory.characters) == (on_disk.tokens, on_disk.characters)


def test_surprisal_of_a_sentence_under_reset_is_the_same_anywhere(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["word"])
    alone = [score.surprisal for score in model.surprisal("a bird sings", "reset")]
    later = [score.surprisal for score in model.surprisal("the cats sleep\n\na bird sings\nx", "reset")]
    assert later[5:9] == pytest.approx(alone, rel=1e-5)
    carried = [score.surprisal for score in model.surprisal("the cats sleep\n\na bird sings\nx", "carry")]
    assert carried[5:9] != pytest.approx(alone, rel=1e-5)


def test_weights_can_be_changed_in_place(runs: dict[str, Path]) -> None:
    """All logits the same: every token has probability 1 / |V|."""
    model = rnnlm.load(runs["word"])
    model.parameters["output.U"][:] = 0
    model.parameters["output.b2"][:] = 0
    assert model.perplexity("the dog sleeps") == pytest.approx(len(model.vocabulary), rel=1e-5)
    assert {score.rank for score in model.surprisal("the dog")} == {1}
    assert model.surprisal("a")[0].entropy == pytest.approx(math.log2(len(model.vocabulary)), rel=1e-5)


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_an_empty_text_is_refused_as_an_empty_file_is(runs: dict[str, Path], unit: str, tmp_path: Path) -> None:
    model = rnnlm.load(runs[unit])
    path = tmp_path / "text.txt"
    path.write_text("")
    asks: list[Callable[[], object]] = [
        lambda: model.evaluate(path=path), lambda: model.evaluate(text=""), lambda: model.perplexity(""),
        lambda: model.surprisal(""), lambda: model.perplexity(["the", ""]), lambda: model.surprisal([""]),
        lambda: model.surprisal("", line_end=False),
    ]  # fmt: skip
    for ask in asks:
        with pytest.raises(TextError, match="text.*: empty; give a text with at least one token"):
            ask()


@pytest.mark.parametrize("state", ["carry", "reset"])
@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_each_of_many_texts_is_scored_as_it_is_alone(runs: dict[str, Path], unit: str, state: str) -> None:
    model = rnnlm.load(runs[unit])
    generator = random.Random(1)
    words = ["the", "dog", "sees", "zebra", "a\n", "bird", "\n"]
    texts = [" ".join(generator.choices(words, k=generator.randint(1, 30))) for _ in range(150)]
    for line_end in (True, False):
        perplexities = model.perplexity(texts, state, line_end=line_end)
        for text, perplexity, scores in zip(
            texts, perplexities, model.surprisal(texts, state, line_end=line_end), strict=True
        ):
            alone = model.surprisal(text, state, line_end=line_end)
            mean = sum(score.surprisal for score in alone) / len(alone)
            assert perplexity == pytest.approx(2**mean, rel=1e-5)
            for found, wanted in zip(scores, alone, strict=True):
                for name in ("position", "line", "token", "is_unk"):
                    assert getattr(found, name) == getattr(wanted, name)
                assert (found.surprisal, found.entropy) == pytest.approx((wanted.surprisal, wanted.entropy), rel=1e-4)
    assert model.perplexity([]) == model.surprisal([]) == []


def test_a_prefix_has_no_line_end(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["word"])
    whole, prefix = model.surprisal("the dog"), model.surprisal("the dog", line_end=False)
    assert [score.token for score in whole] == ["the", "dog", "</s>"]
    assert [(score.token, score.surprisal) for score in prefix] == [(s.token, s.surprisal) for s in whole[:2]]
    assert model.evaluate(text="the dog", line_end=False).tokens == 2
    assert model.surprisal("the dog\n", line_end=False) == whole
    with pytest.raises(TypeError, match="line_end=False goes with text="):
        model.evaluate(path="text.txt", line_end=False)


def test_a_model_can_be_pickled_copied_and_shown(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["word"], 1, "zero")
    model.parameters["output.b2"][:] += np.arange(len(model.vocabulary)) / 10
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert again.perplexity("the dog sees a bird") == model.perplexity("the dog sees a bird")
        assert (again.initial_state, again.network.threads) == ("zero", 1)
        assert again.sample("the", tokens=9) == model.sample("the", tokens=9)
    other = copy.deepcopy(model)
    other.parameters["output.b2"][:] = 0
    assert other.perplexity("the dog") != model.perplexity("the dog"), "its own weights"
    path = runs["word"] / "model.safetensors"
    assert repr(model) == f"<LanguageModel {str(path)!r}: elman, 16 units, {len(model.vocabulary)} words>"


def test_the_curve_of_its_training(runs: dict[str, Path], tmp_path: Path) -> None:
    curve = rnnlm.load(runs["word"]).curve()
    valid = [record for record in curve if record["event"] == "valid"]
    assert [record["epoch"] for record in valid] == [1, 2, 3, 4]
    assert [record["updates"] for record in curve if record["event"] == "updates"][:3] == [5, 10, 15]
    assert all(isinstance(record["loss"], float) for record in valid)
    alone = shutil.copy(runs["word"] / "model.safetensors", tmp_path)
    with pytest.raises(InputError, match="log.jsonl: no such file; the log of a training lies in its run's folder"):
        rnnlm.load(alone).curve()


def test_errors(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["char"])
    with pytest.raises(InputError, match="^prompt: not UTF-8 at character 3"):
        model.sample("ab\udcff")


def test_a_state_that_there_is_not(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["word"])
    for ask in (model.perplexity, model.surprisal):
        for text in ("the dog", ["the dog", "a"]):
            with pytest.raises(InputError, match="^state: found rest; must be carry, reset or document"):
                ask(text, "rest")
    with pytest.raises(InputError, match="^state: found rest; must be carry, reset or document"):
        model.evaluate(text="the dog", state="rest")
    with pytest.raises(InputError, match="^initial_state: found mean; must be model or zero"):
        rnnlm.load(runs["word"], initial_state="mean")


@pytest.mark.parametrize(("given", "found"), [({}, "neither text= nor path="), ({"text": "a", "path": "a"}, "both")])
def test_a_text_is_given_as_a_text_or_as_a_path(runs: dict[str, Path], given: dict[str, str], found: str) -> None:
    with pytest.raises(TypeError, match=rf"{found}.* given; give text= \(a text\) or path= \(a text file\)"):
        rnnlm.load(runs["word"]).evaluate(**given)


def test_a_string_is_never_taken_for_a_path(runs: dict[str, Path], tmp_path: Path, monkeypatch) -> None:
    """Nor the other way round, whatever their types are."""
    monkeypatch.chdir(tmp_path)
    Path("dog").write_text("the cats sleep\n" * 3)
    model = rnnlm.load(runs["word"])
    assert model.evaluate(text="dog").tokens == 2
    assert model.evaluate(path="dog").tokens == 12


def test_a_literal_special_token_in_a_text(runs: dict[str, Path]) -> None:
    """A literal </s> would be scored as a second line end; <unk> is a word of prepared corpora."""
    model = rnnlm.load(runs["word"])
    for score in (model.perplexity, model.surprisal, model.sample):
        with pytest.raises(InputError, match=r":1: found the word </s>"):
            score("the dog </s> sees")
    assert [score.is_unk for score in model.surprisal("the <unk>")] == [False, False, False]
    for unit in ("char", "byte"):
        assert [score.token for score in rnnlm.load(runs[unit]).surprisal("</s>")] == list("</s>")
