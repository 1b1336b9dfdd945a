"""What goes wrong around a command: arguments, the terminal, the disk, an interrupt."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rnnlm import api, pipeline
from rnnlm.files import inspection
from rnnlm.measure import plan
from rnnlm.training import memory


@pytest.mark.parametrize(
    ("arguments", "command", "found"),
    [
        (["train", "x", "--nonsense"], "rnnlm train", "--nonsense"),
        (["nonsense"], "rnnlm", "nonsense"),
        (["corpus", "nonsense"], "rnnlm corpus", "nonsense"),
        (["train"], "rnnlm train", "CONFIG"),
        (["eval", "x", "y", "z"], "rnnlm eval", "z"),
        (["sample", "x", "--tokens", "many"], "rnnlm sample", "--tokens"),
        (["train", "x", "--run"], "rnnlm", "--run"),
    ],
)
def test_arguments_that_do_not_exist_are_one_line(call: Any, arguments: list[str], command: str, found: str) -> None:
    status, out, err = call(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {command}: ")
    assert found in err
    assert err.endswith(f"; {command} --help says what there is\n")


@pytest.mark.parametrize("arguments", [[], ["corpus"]])
def test_no_command_shows_the_help(call: Any, arguments: list[str]) -> None:
    status, out, err = call(*arguments)
    assert status in (0, 2)
    assert "Usage: rnnlm" in out + err
    assert "error" not in err


@pytest.mark.parametrize("command", [["train", "{config}"], ["eval", "{run}"], ["sample", "{run}"]])
def test_ctrl_c_is_status_130_without_a_word(
    call: Any, config: Path, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    def interrupted(*arguments: object, **options: object) -> Iterator[Any]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(pipeline, "run", interrupted)
    for name in ("evaluating_own_text", "sampling"):
        monkeypatch.setattr(api.LanguageModel, name, interrupted)
    assert call(*(part.format(config=config, run=runs["word"]) for part in command)) == (130, "", "")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device"), "error: No space left on device; --debug shows what"),
        (PermissionError(13, "Permission denied", "x/y"), "error: x/y: Permission denied; --debug shows"),
        (MemoryError(), "error: out of memory (no details); lower train.batch, model.hidden or vocab.max_size\n"),
    ],
)  # fmt: skip
def test_what_the_system_refuses_is_one_line(
    call: Any, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def refused(path: Path) -> None:
        raise error

    monkeypatch.setattr(inspection, "inspect", refused)
    status, out, err = call("inspect", runs["word"])
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(message)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_behind_standard_output(runs: dict[str, Path]) -> None:
    with open("/dev/full", "w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "rnnlm", "eval", str(runs["word"]), "--json"], stdout=full, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
    assert found.returncode == 1
    assert found.stderr == "error: No space left on device; --debug shows what was done there\n"


def test_a_terminal_of_another_encoding(runs: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "rnnlm", "sample", str(runs["char"]), "--prompt", "é", "--tokens", "3"]
    found = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert found.returncode == 0
    assert found.stdout.startswith(b"\\xe9")


def test_bytes_in_a_prompt_that_are_no_text(call: Any, runs: dict[str, Path]) -> None:
    for unit, folder in runs.items():
        status, out, err = call("sample", folder, "--prompt", b"dog \xff".decode("utf-8", "surrogateescape"))
        assert (status, out) == (2, ""), unit
        assert err == "error: --prompt: not UTF-8 at character 5; give UTF-8 text\n"


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


def test_an_evaluation_names_its_text(call: Any, runs: dict[str, Path]) -> None:
    """Left out, it is the run's own, which nobody can see from the command."""
    test = runs["word"].parent / "test.txt"
    assert call("eval", runs["word"])[1].startswith(f"text                                {test}\n")
    assert json.loads(call("eval", runs["word"], "--json")[1])["text"] == str(test)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("command", ["eval", "sample", "inspect"])
def test_damaged_models(call: Any, runs: dict[str, Path], tmp_path: Path, share: float, command: str) -> None:
    path = tmp_path / "model.safetensors"
    data = (runs["word"] / "model.safetensors").read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    status, out, err = call(command, tmp_path)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {path}: ")


def test_a_damaged_state_is_not_gone_on_from(call: Any, config: Path) -> None:
    assert call("train", config)[0] == 0
    state = config.parent / "run" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-10])
    model = (config.parent / "run" / "model.safetensors").read_bytes()
    status, out, err = call("train", config, "--resume")
    assert (status, out) == (2, "")
    assert f"error: {state}: not a whole safetensors file" in err
    assert (config.parent / "run" / "model.safetensors").read_bytes() == model, "the best model stays"
    assert call("eval", config.parent / "run")[0] == 0


def test_places_that_cannot_be_written(call: Any, config: Path, runs: dict[str, Path]) -> None:
    file = config.parent / "file"
    file.write_text("x")
    for arguments in (
        ["train", config, "--run", file],
        ["vocab", config, "-o", file / "v.txt"],
        ["embed", config, "-o", file / "e.txt"],
        ["eval", runs["word"], "--per-token", config.parent],
    ):
        status, _, err = call(*arguments)
        assert status == 1, arguments
        assert "cannot be written" in err.splitlines()[-1]
        assert "internal" not in err
    assert file.read_text() == "x"
    assert not list(config.parent.rglob("*.tmp"))


def test_the_plan_refuses_what_training_would(call: Any, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    status, out, err = call("train", config, "--plan")
    assert (status, out) == (1, "")
    assert "training needs about" in err


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
