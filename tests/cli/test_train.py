"""``rnnlm train``."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnlm import cli
from rnnlm.files import model_file
from rnnlm.training import memory


def test_plan_trains_nothing(call: Any, config: Path) -> None:
    status, out, _ = call("train", config, "--plan")
    assert status == 0
    for text in ("cell.0.H", "vocabulary", "memory", "tokens/s, measured here", "an epoch"):
        assert text in out
    assert not list(config.parent.rglob("*.safetensors"))
    found = json.loads(call("train", config, "--plan", "--json")[1])
    assert found["parameters"] == sum(size for _, _, size in found["tensors"])
    assert found["tokens_per_second"] > 0


def test_the_plan_refuses_what_training_would(call: Any, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    status, out, err = call("train", config, "--plan")
    assert (status, out) == (1, "")
    assert "training needs about" in err


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
    assert model_file.load(config.parent / "run").training["epoch"] == 2
    assert call("train", config, "--restart", "--resume")[0] == 2
    assert call("train", config, "--restart", "--set", "data.train=nowhere")[0] == 2
    assert model_file.load(config.parent / "run"), "nothing is thrown away for a run that cannot start"


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
    keys = ["optimizer=sgd", "learning_rate=3e37", "clip_norm=null", "checkpoint.every_updates=1", "epochs=5"]
    status, _, err = call("train", config, *(part for key in keys for part in ("--set", f"train.{key}")))
    assert status == 1
    assert re.search(r"error: (validation after )?update \d+: .*not finite.*; the last checkpoint is", err)
    assert model_file.load(config.parent / "run" / "state.safetensors")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_with_a_checkpoint(config: Path, number: signal.Signals) -> None:
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
    assert "stopping after this update; once more to stop now\n" in err
    assert "stopped; --resume goes on from here" in err
    assert "Traceback" not in err
    updates = model_file.load(config.parent / "run" / "state.safetensors").training["updates"]
    resumed = subprocess.run(
        [*command, "--set", "train.epochs=100000", "--set", f"train.max_updates={updates + 3}", "--resume"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"goes on after update {updates:,}" in resumed.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml: no such file"),
        (["{config}", "--set", "train.epoch=1"], "train.epoch: unknown key; did you mean epochs?"),
        (["{config}", "--set", "data.train=nowhere"], "nowhere: No such file or directory; give the path"),
        (["{config}", "--set", "data.test=nowhere"], "nowhere: No such file or directory; give the path"),
        (["{config}", "--set", "data.valid={empty}"], "empty.txt: empty; give a text"),
        (["{config}", "--set", "data.train={empty}"], "empty.txt: empty; give a text"),
        (["{config}", "--set", "data.train={binary}"], "binary.txt: not UTF-8 at byte 4 (0xff)"),
        (["{config}", "--set", "train.bptt=5000"], "fewer than one window of the batch"),
        (["{config}", "--set", "vocab.file={twice}"], "twice.txt:2: 'a' stands already on line 1"),
        (["{config}", "--set", "embedding.init=file", "--set", "embedding.init.path={vectors}"], "embedding.size"),
    ],
)  # fmt: skip
def test_errors(refused: Callable[..., None], arguments: list[str], message: str) -> None:
    refused(["train", *arguments], message)
