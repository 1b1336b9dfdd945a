"""A trained network from Python: what it says of texts and what is left behind."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

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
    model.config = model.config.model_copy(update={"data": data})
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
        for text in ("the dog sleeps\n", "the dog\r\nsees é\n\n", "a bird", "\n"):
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


def test_errors(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["byte"])
    with pytest.raises(InputError, match="--prompt: not UTF-8 at character 3"):
        model.sample("ab\udcff")
    with pytest.raises(TextError, match="empty"):
        model.surprisal("")


def test_a_state_that_there_is_not(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["word"])
    for ask in (model.perplexity, model.surprisal):
        with pytest.raises(InputError, match="state: found rest; must be carry or reset"):
            ask("the dog", "rest")


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
