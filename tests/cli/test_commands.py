"""What several commands have in common."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from rnnlm.config import file as config_file
from rnnlm.measure import plan
from rnnlm.text import vocabulary


def test_the_whole_path(call: Any, config: Path) -> None:
    """vocab, embed, train, eval, sample, inspect: each on what the one before it made."""
    folder = config.parent
    status, out, _ = call("vocab", config, "-o", folder / "v.txt")
    assert status == 0
    assert re.fullmatch(rf"{folder}/v.txt: 16 tokens of \d+ in the training text\n", out)
    assert "dog" in vocabulary.load(folder / "v.txt", "word", False)
    status, out, _ = call("embed", config, "-o", folder / "e.txt", "--set", "embedding.init=svd")
    assert (status, out) == (0, f"{folder}/e.txt: 16 vectors of 8 numbers (svd)\n")
    status, out, err = call(
        "train", config, "--set", f"vocab.file={folder}/v.txt", "--set", "embedding.init=file",
        "--set", f"embedding.init.path={folder}/e.txt",
    )  # fmt: skip
    assert status == 0
    assert "16 of 16 types found" in err
    assert "--- sample 3" in out
    assert re.search(r"^perplexity +\d+\.\d\d$", out, re.M)
    assert "\x1b" not in out + err, "no colours where there is no terminal"
    assert "all epochs done" in err
    run = folder / "run"
    assert sorted(path.name for path in run.iterdir() if path.name != "loss.png") == [
        "config.yaml", "log.jsonl", "model.safetensors", "state.safetensors", "vocab.txt",
    ]  # fmt: skip
    assert config_file.load(run / "config.yaml").run == str(run)
    assert (run / "vocab.txt").read_bytes() == (folder / "v.txt").read_bytes()

    status, out, err = call("eval", run, "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    keys = "perplexity perplexity_without_unk tokens unknown characters bits_per_token"
    assert set(f"{keys} bits_per_character state seconds tokens_per_second".split()) <= set(found)
    status, out, _ = call("eval", run / "model.safetensors", folder / "valid.txt", "--state", "reset", "--quiet")
    assert status == 0
    assert "hidden state at line ends           reset" in out
    status, out, err = call("eval", run, folder / "valid.txt", "--per-token", folder / "t.tsv")
    assert (folder / "t.tsv").read_text().startswith("position\tline\ttoken")

    status, out, err = call("sample", run, "--prompt", "the zebra", "--tokens", 5, "--seed", 3)
    assert status == 0
    assert out.startswith("the zebra")
    assert err == "warning: not in the vocabulary, read as <unk>: 'zebra'\n"
    status, out, _ = call("sample", run, "--samples", 2, "--tokens", 5, "--json")
    assert len(json.loads(out)["samples"]) == 2

    status, out, _ = call("inspect", run)
    assert "cell.0.H" in out
    assert "16 x 16" in out
    assert "activation: tanh" in out
    assert json.loads(call("inspect", run, "--json")[1])["tensors"]["cell.0.H"]["shape"] == [16, 16]


def test_json_alone_on_standard_output(call: Any, config: Path, runs: dict[str, Path]) -> None:
    """And what there is to say on standard error."""
    status, out, err = call("sample", runs["word"], "--prompt", "zebra", "--tokens", 3, "--json")
    assert json.loads(out)["samples"][0].startswith("zebra")
    assert err == "warning: not in the vocabulary, read as <unk>: 'zebra'\n"
    status, out, err = call("train", config, "--json")
    assert json.loads(out)["reason"] == "epochs"
    assert "all epochs done" in err
    status, out, err = call("eval", runs["word"], config.parent / "valid.txt", "--json")
    assert json.loads(out)["text"] == str(config.parent / "valid.txt")


def test_quiet_is_results_alone(
    call: Any, config: Path, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "_SECONDS", 0.1)
    folder = config.parent
    for arguments in (
        ["vocab", config, "-o", folder / "v.txt"],
        ["embed", config, "-o", folder / "e.txt"],
        ["train", config],
        ["train", config, "--plan"],
        ["eval", runs["word"]],
        ["sample", runs["word"], "--prompt", "zebra"],
        ["corpus", "make", "english", "-o", folder / "c", *["--sentences", 20] * 3],
    ):
        status, out, err = call(*arguments, "--quiet")
        assert (status, err) == (0, ""), arguments
        assert out


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("command", ["eval", "sample", "inspect"])
def test_damaged_models(call: Any, runs: dict[str, Path], tmp_path: Path, share: float, command: str) -> None:
    path = tmp_path / "model.safetensors"
    data = (runs["word"] / "model.safetensors").read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    status, out, err = call(command, tmp_path)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {path}: ")


def test_places_that_cannot_be_written(call: Any, config: Path, runs: dict[str, Path]) -> None:
    file = config.parent / "file"
    file.write_text("x")
    for wanted, *arguments in (
        (1, "train", config, "--run", file / "run"),
        (1, "vocab", config, "-o", file / "v.txt"),
        (1, "embed", config, "-o", file / "e.txt"),
        (2, "eval", runs["word"], "--per-token", config.parent),  # a folder
    ):
        status, _, err = call(*arguments)
        assert status == wanted, arguments
        assert "cannot be written" in err.splitlines()[-1]
        assert "internal" not in err
    assert file.read_text() == "x"
    assert not list(config.parent.rglob("*.tmp"))


def test_a_run_from_another_folder_scores_the_same(call: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    """model.safetensors alone is enough."""
    shutil.copy(runs["char"] / "model.safetensors", tmp_path / "m.safetensors")
    text = runs["char"].parent / "test.txt"
    found = [
        json.loads(call("eval", model, text, "--json")[1]) for model in (runs["char"], tmp_path / "m.safetensors")
    ]
    assert found[0]["perplexity"] == found[1]["perplexity"]
    status, out, err = call("eval", tmp_path / "m.safetensors")
    assert status in (0, 2)
    samples = [call("sample", model, "--tokens", 20)[1] for model in (runs["char"], tmp_path / "m.safetensors")]
    assert samples[0] == samples[1]


@pytest.mark.parametrize("option", ["--hidden", "--embedding", "--vocabulary"])
def test_sizes_that_derive_would_not_use_are_refused(call: Any, runs: dict[str, Path], option: str) -> None:
    for arguments in (["--scalar"], [runs["word"]]):
        status, out, err = call("derive", *arguments, option, "4")
        assert (status, out) == (2, "")
        assert re.search(f"{option} (does not go with --scalar|is for a small network)", err)
