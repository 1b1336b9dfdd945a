"""The command line as a user meets it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer.main

from rnnlm import cli
from rnnlm.config import file as config_file
from rnnlm.files import checkpoint
from rnnlm.text import vocabulary
from rnnlm.training import memory


def all_commands() -> list[list[str]]:
    def walk(command: Any, names: list[str]) -> list[list[str]]:
        below = getattr(command, "commands", {})
        return [names] + [found for name, sub in below.items() for found in walk(sub, [*names, name])]

    return walk(typer.main.get_command(cli.app), [])


@pytest.mark.parametrize("names", all_commands(), ids=" ".join)
def test_help(call: Any, names: list[str]) -> None:
    status, out, err = call(*names, "--help")
    assert (status, err) == (0, "")
    assert "Usage: rnnlm" in out


@pytest.mark.parametrize("names", all_commands(), ids=" ".join)
def test_help_texts_are_sentences(names: list[str]) -> None:
    command: Any = typer.main.get_command(cli.app)
    for name in names:
        command = command.commands[name]
    for text in [command.help, *(parameter.help for parameter in command.params if parameter.name != "help")]:
        assert text
        assert text[0].isupper() or text[0].isdigit()
        assert text.rstrip().endswith((".", ")", "..."))


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; sys.argv = ['rnnlm', '--help']\n"
        "from rnnlm.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numba', 'numpy', 'scipy', 'pydantic', 'yaml') if m in sys.modules])"
    )
    began = time.perf_counter()
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith("[]")
    assert time.perf_counter() - began < 3, "0.2 s where nothing else runs"


def test_version(call: Any) -> None:
    assert call("--version")[1] == "rnnlm 0.1.0\n"


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
        "cache", "config.yaml", "log.jsonl", "model.safetensors", "state.safetensors", "vocab.txt",
    ]  # fmt: skip
    assert config_file.load(run / "config.yaml").run == str(run)
    assert (run / "vocab.txt").read_bytes() == (folder / "v.txt").read_bytes()

    status, out, err = call("eval", run, "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    keys = "perplexity perplexity_with_unk perplexity_without_unk tokens unknown characters bits_per_token"
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


def test_plan_trains_nothing(call: Any, config: Path) -> None:
    status, out, _ = call("train", config, "--plan")
    assert status == 0
    for text in ("cell.0.H", "vocabulary", "memory", "tokens/s, measured here", "an epoch"):
        assert text in out
    assert not list(config.parent.rglob("*.safetensors"))
    found = json.loads(call("train", config, "--plan", "--json")[1])
    assert found["parameters"] == sum(size for _, _, size in found["tensors"])
    assert found["tokens_per_second"] > 0


def test_train_json_and_quiet(call: Any, config: Path) -> None:
    status, out, err = call("train", config, "--json", "--quiet")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["reason"] == "epochs"
    assert found["test"]["perplexity"] > 1
    assert len(found["samples"]) == 3


def test_an_existing_run(call: Any, config: Path) -> None:
    assert call("train", config)[0] == 0
    status, _, err = call("train", config)
    assert status == 2
    assert "--resume goes on with it, --run DIR starts another, --restart throws it away" in err
    status, _, err = call("train", config, "--resume", "--set", "model.hidden=9")
    assert (status, "model.hidden: 16, the configuration 9" in err) == (2, True)
    assert call("train", config, "--resume", "--set", "train.epochs=3")[0] == 0
    assert call("train", config, "--restart")[0] == 0
    assert checkpoint.load(config.parent / "run").training["epoch"] == 2
    assert call("train", config, "--restart", "--resume")[0] == 2
    assert call("train", config, "--restart", "--set", "data.train=nowhere")[0] == 2
    assert checkpoint.load(config.parent / "run"), "nothing is thrown away for a run that cannot start"


def test_config_show_and_schema(call: Any, config: Path, tmp_path: Path) -> None:
    status, out, err = call("config", "show", config, "--set", "model.cell=lstm", "--set", "train.epochs=3")
    assert (status, err) == (0, "")
    assert "cell: {type: lstm, peepholes: false, coupled_gates: false, forget_bias: 1.0}" in out
    (tmp_path / "again.yaml").write_text(out)
    assert call("config", "show", tmp_path / "again.yaml") == (0, out, "")
    status, out, err = call("config", "schema")
    assert (status, err) == (0, "")
    assert json.loads(out)["properties"]["train"]
    status, out, err = call("config", "show", config, "--set", "train.max_steps=3")
    assert (status, out) == (2, "")
    assert "train.max_steps: called train.max_updates now" in err


ERRORS = [
    (["train", "nowhere.yaml"], 2, "nowhere.yaml: no such file"),
    (["train", "{config}", "--set", "train.epoch=1"], 2, "train.epoch: unknown key; did you mean epochs?"),
    (["train", "{config}", "--set", "data.train=nowhere"], 2, "nowhere: No such file or directory; give the path"),
    (["train", "{config}", "--set", "data.test=nowhere"], 2, "nowhere: No such file or directory; give the path"),
    (["train", "{config}", "--set", "data.valid={empty}"], 2, "empty.txt: empty; give a text"),
    (["train", "{config}", "--set", "data.train={empty}"], 2, "empty.txt: empty; give a text"),
    (["train", "{config}", "--set", "data.train={binary}"], 2, "binary.txt: not UTF-8 at byte 3 (0xff)"),
    (["train", "{config}", "--set", "train.bptt=5000"], 2, "fewer than one window of the batch"),
    (["train", "{config}", "--set", "vocab.file={twice}"], 2, "twice.txt:2: 'a' stands already on line 1"),
    (
        ["train", "{config}", "--set", "embedding.init=file", "--set", "embedding.init.path={vectors}"],
        2,
        "embedding.size",
    ),
    (["eval", "nowhere"], 2, "nowhere: no such file; give a run's folder"),
    (["eval", "{folder}"], 2, "no model.safetensors in this folder; has it been trained yet?"),
    (["eval", "{run}", "nowhere"], 2, "nowhere: No such file or directory; give the path of a text file"),
    (["eval", "{run}", "{empty}"], 2, "empty.txt: empty; give a text"),
    (["eval", "{run}", "{binary}"], 2, "binary.txt: not UTF-8 at byte 3"),
    (["eval", "{run}", "--state", "keep"], 2, "--state: found keep; must be carry or reset"),
    (["eval", "{run}", "--threads", "0"], 2, "--threads: found 0; must be auto or a number of at least 1"),
    (["sample", "{run}", "--temperature", "-1"], 2, "--temperature: found -1.0; must be 0 or more"),
    (["sample", "{binary}"], 2, "binary.txt: not a whole safetensors file"),
    (["inspect", "{empty}"], 2, "empty.txt: not a whole safetensors file"),
    (["corpus", "get", "ptbb"], 2, "ptb"),
    (["corpus", "make", "nowhere"], 2, "nowhere"),
    (["corpus", "make", "--sentences", "5"], 2, "--sentences: found 1 numbers; give three"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "status", "message"), ERRORS, ids=lambda v: " ".join(v) if isinstance(v, list) else None
)
def test_errors_are_one_line(
    call: Any, config: Path, runs: dict[str, Path], arguments: list[str], status: int, message: str
) -> None:
    folder = config.parent
    (folder / "empty.txt").write_text("")
    (folder / "binary.txt").write_bytes(b"abc\xff\xfe")
    (folder / "twice.txt").write_text("a\t2\na\t1\n")
    (folder / "vectors.txt").write_text("2 3\nthe 1 2 3\ndog 1 2 3\n")
    names = {name: folder / f"{name}.txt" for name in ("empty", "binary", "twice", "vectors")}
    found = call(*(a.format(config=config, folder=folder, run=runs["word"], **names) for a in arguments))
    assert found[0] == status
    last = found[2].splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert "Traceback" not in found[2]
    assert found[1] == ""
    assert not list(folder.rglob("*.tmp"))
    assert not list(folder.rglob("*.safetensors"))


def test_a_traceback_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnlm.errors import ModelError

    for arguments in (["--debug", "eval", "nowhere"], ["eval", "nowhere", "--debug"]):
        monkeypatch.setattr(sys, "argv", ["rnnlm", *arguments])
        with pytest.raises(ModelError):
            cli.main()


def test_an_internal_error_is_one_line_too(call: Any, monkeypatch: pytest.MonkeyPatch, runs: dict[str, Path]) -> None:
    from rnnlm.files import inspection

    def broken(path: Path) -> None:
        raise KeyError("x")

    monkeypatch.setattr(inspection, "inspect", broken)
    status, _, err = call("inspect", runs["word"])
    assert status == 1
    assert err == "error: internal: KeyError: 'x'; run it again with --debug and report what it shows\n"


def test_unknown_options_and_commands(call: Any) -> None:
    assert call("train", "x", "--nonsense")[0] == 2
    assert call("nonsense")[0] == 2


def test_too_little_memory_or_disk(call: Any, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    status, _, err = call("train", config)
    assert status == 1
    assert re.search(r"training needs about .* MB of memory, 0.0 MB are free; lower model.hidden", err)
    monkeypatch.undo()
    monkeypatch.setattr(sys, "argv", ["rnnlm", "train", str(config)])
    full = shutil.disk_usage("/")._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    assert not list(config.parent.rglob("*.safetensors"))


def test_a_loss_that_is_not_finite(call: Any, config: Path) -> None:
    keys = ["optimizer=sgd", "learning_rate=1e38", "clip_norm=null", "checkpoint.every_updates=1", "epochs=5"]
    status, _, err = call("train", config, *(part for key in keys for part in ("--set", f"train.{key}")))
    assert status == 1
    assert re.search(
        r"error: step \d+: not finite: the loss is .*; .*(cell|output|embedding).*; the last checkpoint is", err
    )
    assert checkpoint.load(config.parent / "run" / "state.safetensors")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_with_a_checkpoint(config: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "rnnlm", "train", str(config), "--set", "train.patience=null"]
    process = subprocess.Popen(
        [*command, "--set", "train.epochs=100000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    log = config.parent / "run" / "log.jsonl"
    deadline = time.monotonic() + 60
    while not (log.exists() and '"valid"' in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "stopped; --resume goes on from here" in err
    assert "Traceback" not in err
    step = checkpoint.load(config.parent / "run" / "state.safetensors").training["position"]["step"]
    resumed = subprocess.run(
        [*command, "--set", "train.epochs=100000", "--set", f"train.max_updates={step + 3}", "--resume"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"goes on after step {step:,}" in resumed.stderr


def test_a_reader_that_goes_away(runs: dict[str, Path]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "rnnlm", "sample", str(runs["char"]), "--tokens", "100000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONWARNINGS": "default"},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(30) == 1
    assert errors == ""


def test_vectors_written_by_embed_are_read_back(call: Any, config: Path) -> None:
    for unit in ("word", "char"):
        path = config.parent / f"{unit}.vec"
        assert call("embed", config, "-o", path, "--set", f"data.unit={unit}")[0] == 0
        head = path.read_text(encoding="utf-8").split("\n", 1)[0]
        assert head.endswith(" 8")
        assert call("train", config, "--restart", "--set", f"data.unit={unit}", "--set", "embedding.init=file",
                    "--set", f"embedding.init.path={path}", "--quiet")[0] == 0  # fmt: skip
