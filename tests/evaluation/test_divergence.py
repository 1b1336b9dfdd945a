"""What a network that diverged gives: worse than guessing evenly is said at the number, not finite is an error."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import rnnlm
from rnnlm.errors import ModelError
from rnnlm.files import tensors

WORSE = r"warning: {} [\d.e+]+ is worse than guessing evenly among the {} tokens of the vocabulary \({}\)"


@pytest.fixture
def changed(runs: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy of the word model with a tensor changed, as an editor without checks of its own leaves it."""

    def change(value: float, name: str = "output.U") -> Path:
        path = tmp_path / "run" / "model.safetensors"
        shutil.copytree(runs["word"], path.parent)
        arrays, metadata = tensors.read_tensors(path)
        if np.isnan(value):
            arrays[name][0, 1] = value
        else:
            arrays[name] *= np.float32(value)
        save_file(arrays, path, {"rnnlm": json.dumps(metadata)})
        return path

    return change


def test_worse_than_guessing_evenly_is_said_at_the_perplexity(call: Any, changed: Any, tmp_path: Path) -> None:
    model = changed(-20)
    size = len(rnnlm.load(model).vocabulary)
    (tmp_path / "text").write_text("the dog sees the cat\n" * 5)
    status, out, err = call("eval", model, tmp_path / "text")
    assert status == 0
    assert re.search(WORSE.format("perplexity", size, size), err)
    found = json.loads(call("eval", model, tmp_path / "text", "--json", "--per-token", tmp_path / "scores.tsv")[1])
    assert found["perplexity"] > size
    assert any("worse than guessing evenly" in note for note in found["notes"])


def test_better_than_guessing_evenly_nothing_is_said(call: Any, runs: dict[str, Path]) -> None:
    assert "guessing evenly" not in "".join(call("eval", runs["word"])[1:])


def test_so_it_is_of_validations_and_of_the_test_text(call: Any, config: Path) -> None:
    """Long before a number overflows, training has diverged."""
    keys = ["optimizer=sgd", "learning_rate=60", "clip_norm=null", "epochs=1"]
    status, _, err = call("train", config, *(part for key in keys for part in ("--set", f"train.{key}")))
    assert status == 0
    size = len(rnnlm.load(config.parent / "run").vocabulary)
    assert re.search(WORSE.format("validation perplexity", size, size), err)
    assert re.search(WORSE.format("perplexity", size, size), err)


@pytest.mark.parametrize("value", [np.nan])
@pytest.mark.parametrize("name", ["embedding.table", "cell.0.H", "output.U"])
def test_weights_that_are_not_finite_are_refused_by_all_that_read_a_model(
    call: Any, changed: Any, name: str, value: float
) -> None:
    model = changed(value, name)
    text = f"model.safetensors: damaged: {name} holds numbers that are not finite"
    with pytest.raises(ModelError, match=text):
        rnnlm.load(model)
    for command in (
        ["eval"],
        ["sample", "--tokens", "5"],
        ["inspect"],
        ["export", "--to", "pytorch", "-o", "x.safetensors"],
    ):
        status, out, err = call(command[0], model, *command[1:])
        if command[0] == "inspect" and status == 0:
            continue  # shows the header, and computes nothing
        assert (status, out) == (2, "")
        assert re.search(text, err)


def test_weights_that_overflow_are_not_saved_over_a_checkpoint(call: Any, config: Path) -> None:
    keys = ["optimizer=sgd", "learning_rate=3.4e38", "clip_norm=null", "checkpoint.every_updates=1"]
    status, _, err = call("train", config, *(part for key in keys for part in ("--set", f"train.{key}")))
    assert status == 1
    assert re.search(
        r"error: update \d: .*safetensors: not written: .* numbers of .* are not finite; .*checkpoint", err
    )
    assert "needs a new run: --restart, or another folder with --run" in err
    for path in config.parent.rglob("*.safetensors"):
        rnnlm.load(path)


def test_a_perplexity_that_is_not_finite_is_an_error(call: Any, changed: Any) -> None:
    status, out, err = call("eval", changed(1e30))
    assert (status, out) == (1, "")
    assert "error: the perplexity is not finite" in err


def test_weights_that_are_not_finite_are_not_imported(call: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    source, vocabulary = tmp_path / "torch.safetensors", tmp_path / "vocab.txt"
    assert call("export", runs["word"], "-o", source)[0] == 0
    arrays = load_file(source)
    next(iter(arrays.values())).reshape(-1)[3] = np.inf
    save_file(arrays, source)
    rnnlm.load(runs["word"]).vocabulary.save(vocabulary)
    status, _, err = call("import", source, "--vocab", vocabulary, "-o", tmp_path / "imported.safetensors")
    assert status in (1, 2)
    assert re.search(r"[\w.]+ holds numbers that are not finite", err)
    assert not (tmp_path / "imported.safetensors").exists()
