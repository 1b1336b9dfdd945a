"""rnnlm from Python, as the README has it, and the same figures as on the command line."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from small import settings, write_texts

import rnnlm
from rnnlm import api, cli
from rnnlm.errors import InputError, TextError
from rnnlm.sampling.records import Samples
from rnnlm.work import Progress, run_to_end


def test_the_lines_of_the_module(tmp_path: Path) -> None:
    """Twice in one process: neither the loop's module nor anything else stands in the function's place."""
    write_texts(tmp_path)
    for number in range(2):
        config = settings(tmp_path, run=f"run{number}", epochs=1)
        trained = rnnlm.train(config)
        model = rnnlm.load(config.run)
        assert isinstance(model, rnnlm.LanguageModel)
        assert model.perplexity("the dog sleeps") == trained.perplexity("the dog sleeps") > 1
        scores = model.surprisal("a bird sings")
        assert [score.token for score in scores] == ["a", "bird", "sings", "</s>"]
        assert [(score.position, score.line) for score in scores] == [(1, 1), (2, 1), (3, 1), (4, 1)]
        assert model.sample(prompt="the", tokens=5).startswith("the ")
    assert callable(rnnlm.train)


def test_a_yaml_file_with_overrides(tmp_path: Path) -> None:
    from rnnlm.config import file as config_file

    write_texts(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(config_file.dump(settings(tmp_path)))
    model = rnnlm.train(path, ("train.epochs=1", "model.hidden=7"))
    assert model.config.model.hidden == 7
    assert rnnlm.train(str(path), ("train.epochs=2", "model.hidden=7"), resume=True).trained.training["epoch"] == 2


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'rnnlm' has no attribute 'nonsense'"):
        rnnlm.nonsense  # noqa: B018


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
            in_memory, on_disk = model.evaluate(text), model.evaluate(path)
            assert in_memory.perplexity == on_disk.perplexity
            assert (in_memory.tokens, in_memory.characters) == (on_disk.tokens, on_disk.characters)


def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    monkeypatch.setattr(sys, "argv", ["rnnlm", *map(str, arguments)])
    cli.main()
    return capfd.readouterr().out


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_the_command_line_gives_the_same(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    runs: dict[str, Path],
    unit: str,
    tmp_path: Path,
) -> None:
    model = rnnlm.load(runs[unit])
    text = tmp_path / "text.txt"
    text.write_text("the dog sees a zebra\na bird sings\n")
    found = model.evaluate(text).json()
    shown = json.loads(call(monkeypatch, capfd, "eval", runs[unit], text, "--json"))
    assert shown.pop("text") == str(text)
    for figures in (found, shown):
        del figures["seconds"], figures["tokens_per_second"]
    assert json.loads(json.dumps(found)) == shown

    settings = {"tokens": 40, "temperature": 2.0, "seed": 3}
    options = ["--prompt", "the", "--tokens", 40, "--temperature", 2.0, "--seed", 3]
    wanted = model.sample("the", **settings)
    streamed = call(monkeypatch, capfd, "sample", runs[unit], *options)
    assert streamed == wanted + "\n" * (not wanted.endswith("\n")), "the pieces that are streamed are the text"
    several = model.sample("the", samples=3, **settings)
    assert several[0] == wanted
    shown = json.loads(call(monkeypatch, capfd, "sample", runs[unit], *options, "--samples", 3, "--json"))
    assert shown == {"prompt": "the", "samples": several}


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


@pytest.mark.parametrize("last", [Progress, Samples])
def test_a_wish_to_stop_is_heard_before_and_after_the_training(tmp_path: Path, last: type) -> None:
    """Else Ctrl-C would do nothing while a large text is counted, or scored at the end."""
    write_texts(tmp_path)
    seen: list[Any] = []
    work = api.run(settings(tmp_path, epochs=1), stop=lambda: bool(seen) and isinstance(seen[-1], last))
    with pytest.raises(KeyboardInterrupt):
        seen.extend(work)  # one by one
    assert isinstance(seen[-1], last)
    assert (tmp_path / "run" / "model.safetensors").exists() == (last is Samples)
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_result_of_a_run(tmp_path: Path) -> None:
    write_texts(tmp_path)
    result = run_to_end(api.run(settings(tmp_path, epochs=1)))
    assert result["reason"] == "epochs"
    assert result["test"]["perplexity"] == rnnlm.load(tmp_path / "run").evaluate(tmp_path / "test.txt").perplexity
    assert len(result["samples"]) == 3
    json.dumps(result)


def test_gradients_from_python(runs: dict[str, Path]) -> None:
    assert rnnlm.gradcheck(runs["word"], steps=3, numbers=8).passed
    found = rnnlm.ledger(runs["word"], "the dog sees the cat\na bird sings\n", steps=5)
    assert found.targets == ("the", "dog", "sees", "the", "cat")
    assert found.layers[0].norm["H"].shape == (5, 5)
