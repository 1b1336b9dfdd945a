"""Model files that are damaged, missing, or not what they say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import rnnlm
from rnnlm.errors import ModelError
from rnnlm.files import model_file
from rnnlm.files import tensors as storage


@pytest.fixture
def run(runs: dict[str, Path], tmp_path: Path) -> Path:
    """A copy that may be broken."""
    return Path(shutil.copytree(runs["word"], tmp_path / "run"))


def test_what_was_written_is_read(run: Path) -> None:
    trained = model_file.load(run)
    assert model_file.load(run / "model.safetensors").parameters.keys() == trained.parameters.keys()
    assert trained.config.model.hidden == 16
    assert trained.vocabulary.text() == (run / "vocab.txt").read_text()
    assert trained.training["best_validation_perplexity"] > 1
    last = rnnlm.load(run / "state.safetensors")
    assert last.perplexity("a bird sings") < 100


@pytest.mark.parametrize("share", [0, 1, 3, 5, 7, 9])
def test_truncated_files(run: Path, share: int) -> None:
    path = run / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * share // 10])
    with pytest.raises(ModelError, match=r"model.safetensors: (not a whole safetensors file|damaged)") as caught:
        rnnlm.load(run)
    assert "\n" not in str(caught.value)


def rewrite(path: Path, tensors: dict[str, np.ndarray] | None = None, **changes: object) -> None:
    old, metadata = storage.read_tensors(path)
    storage.write_tensors(path, tensors if tensors is not None else old, {**metadata, **changes})


def test_a_missing_tensor(run: Path) -> None:
    path = run / "model.safetensors"
    tensors = load_file(path)
    del tensors["cell.0.H"]
    rewrite(path, tensors)
    with pytest.raises(ModelError, match=r"the tensor cell.0.H is missing"):
        rnnlm.load(run)


def test_a_tensor_of_another_shape(run: Path) -> None:
    path = run / "model.safetensors"
    tensors = load_file(path)
    tensors["output.b2"] = tensors["output.b2"][:-1]
    rewrite(path, tensors)
    with pytest.raises(
        ModelError, match=r"output.b2 is float32 \(\d+,\); its configuration asks for float32 \(\d+,\)"
    ):
        rnnlm.load(run)


def test_the_first_format(run: Path) -> None:
    rewrite(run / "model.safetensors", format=1)
    message = r"format 1, of an older rnnlm; this one reads format 2: train again, or score it with the version that"
    with pytest.raises(ModelError, match=message) as caught:
        rnnlm.load(run)
    assert "\n" not in str(caught.value)


def test_metadata_that_it_does_not_know_is_no_error(run: Path) -> None:
    rewrite(run / "model.safetensors", later={"more": 1})
    assert rnnlm.load(run).perplexity("a bird sings") < 100


def test_another_format(run: Path) -> None:
    rewrite(run / "model.safetensors", format=3)
    with pytest.raises(ModelError, match="format 3; this rnnlm reads format 2: take the rnnlm that wrote it"):
        rnnlm.load(run)


@pytest.mark.parametrize("changes", [{"config": {}}, {"vocabulary": None}, {"counts": [1]}, {"training": 5}])
def test_a_header_that_holds_no_model(run: Path, changes: dict[str, object]) -> None:
    rewrite(run / "model.safetensors", **changes)
    with pytest.raises(ModelError, match="the header does not hold a model"):
        rnnlm.load(run)


def test_files_of_others(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"x": np.zeros(3, np.float32)}, path)
    with pytest.raises(ModelError, match="not of rnnlm"):
        rnnlm.load(path)
    save_file({"x": np.zeros(3, np.float32)}, path, {"rnnlm": "{"})
    with pytest.raises(ModelError, match="not JSON"):
        rnnlm.load(path)
    save_file({"x": np.zeros(3, np.float32)}, path, {"rnnlm": json.dumps([1])})
    with pytest.raises(ModelError, match="this rnnlm reads format 2"):
        rnnlm.load(path)
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        rnnlm.load(path)


def test_folders_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model.safetensors in this folder; has it been trained yet"):
        rnnlm.load(tmp_path)
    with pytest.raises(ModelError, match="no such file; give a run's folder or its model.safetensors"):
        rnnlm.load(tmp_path / "nowhere")


def test_a_model_without_initial_states_begins_with_zero(run: Path) -> None:
    path = run / "model.safetensors"
    zero = rnnlm.load(run, initial_state="zero")
    assert zero.perplexity("a bird sings") != rnnlm.load(run).perplexity("a bird sings")
    tensors = load_file(path)
    del tensors["initial.0"]
    rewrite(path, tensors)
    model = rnnlm.load(run)
    assert model.initial_state == "zero"
    assert model.evaluate(text="a bird sings").initial_state == "zero"
    assert model.perplexity("a bird sings") == zero.perplexity("a bird sings")


def test_initial_states_of_another_shape(run: Path) -> None:
    path = run / "model.safetensors"
    tensors = load_file(path)
    tensors["initial.0"] = tensors["initial.0"][:-1]
    rewrite(path, tensors)
    with pytest.raises(ModelError, match=r"initial.0 is float32 \(15,\); its configuration asks for float32 \(16,\)"):
        rnnlm.load(run)
