"""Model files that are damaged, missing, or not what they say."""

from __future__ import annotations

import json
import os
import random
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


HEADERS = [
    ("training.epoch", "last", r"training.epoch: Input should be a valid integer, found 'last'"),
    ("training.epoch", -1, "training.epoch: .* greater than or equal to 0, found -1"),
    ("training.updates", 2**70, "training.updates: .* found a number beyond 64 bits"),
    ("training.best_validation_perplexity", float("nan"), "training.best_validation_perplexity: .* found nan"),
    ("training.lowest_perplexity", [1], "training.lowest_perplexity: .* found list"),
    ("training", None, "training: .* found None"),
    ("counts.3", 2**64, "counts.3: .* found a number beyond 64 bits"),
    ("counts.3", -1, "counts.3: .* found -1"),
    ("counts.3", 1.5, "counts.3: .* found 1.5"),
    ("vocabulary.3", 7, "vocabulary.3: .* found 7"),
    ("vocabulary.3", "two words", "the vocabulary's 'two words' is no single word"),
    ("vocabulary.3", "the", "the vocabulary has a token twice"),
    ("vocabulary", [], "vocabulary: .* found list"),
    ("position", "here", "position: .* found 'here'"),
    ("position", {"updates": "x"}, "position.updates: .* found 'x'"),
    ("config.model.hidden", 2**70, "model.hidden.*found a number beyond 64 bits"),
]


@pytest.mark.parametrize(
    ("key", "value", "message"), HEADERS, ids=[f"{key} {value}"[:40] for key, value, _ in HEADERS]
)
def test_every_part_of_a_header_is_checked(run: Path, key: str, value: object, message: str) -> None:
    path = run / "model.safetensors"
    tensors, metadata = storage.read_tensors(path)
    *above, last = key.split(".")
    part = metadata
    for step in above:
        part = part[step]
    part[int(last) if isinstance(part, list) else last] = value
    storage.write_tensors(path, tensors, metadata)
    with pytest.raises(ModelError, match=f"damaged: the header does not hold a model .*{message}") as caught:
        rnnlm.load(run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("unit", "token"), [("word", "<unk>"), ("word", "</s>"), ("char", "\n"), ("byte", "a")])
def test_a_vocabulary_without_a_token_that_it_needs(
    runs: dict[str, Path], tmp_path: Path, unit: str, token: str
) -> None:
    """Read beyond the end of its table it gave a plausible perplexity."""
    tensors, metadata = storage.read_tensors(runs[unit] / "model.safetensors")
    place = metadata["vocabulary"].index(token)
    for values in (metadata["vocabulary"], metadata["counts"]):
        del values[place]
    tensors["embedding.table"] = np.delete(tensors["embedding.table"], place, 0)
    tensors["output.U"], tensors["output.b2"] = tensors["output.U"][:, 1:], tensors["output.b2"][1:]
    storage.write_tensors(tmp_path / "x.safetensors", tensors, metadata)
    with pytest.raises(ModelError, match="x.safetensors: damaged: .*the vocabulary has no "):
        rnnlm.load(tmp_path / "x.safetensors")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["embedding.table", "cell.0.H", "output.b2"])
def test_weights_that_are_not_finite(run: Path, name: str, value: float) -> None:
    tensors, metadata = storage.read_tensors(run / "model.safetensors")
    tensors[name].reshape(-1)[-1] = value
    save_file(tensors, run / "model.safetensors", {"rnnlm": json.dumps(metadata)})
    with pytest.raises(ModelError, match=f"{name} holds numbers that are not finite"):
        rnnlm.load(run)


def test_a_flipped_bit_anywhere_is_found(run: Path) -> None:
    """In the header's length and text, in the metadata, and in the numbers."""
    path = run / "model.safetensors"
    content, whole = path.read_bytes(), model_file.load(run)
    generator = random.Random(0)
    messages = []
    for place in [0, 7, 8, 9, *generator.sample(range(len(content)), 300), len(content) - 1]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        try:
            found = model_file.load(run)
        except ModelError as error:
            messages.append(str(error))
            continue
        # White space of the header's JSON may become another; the model is the same.
        assert (found.config, found.vocabulary.tokens) == (whole.config, whole.vocabulary.tokens)
        assert all((found.parameters[name] == value).all() for name, value in whole.parameters.items())
    assert len(messages) > 250
    assert not any("\n" in message for message in messages)


def test_a_file_without_checksums_is_read(run: Path) -> None:
    tensors, metadata = storage.read_tensors(run / "model.safetensors")
    wanted = rnnlm.load(run).perplexity("a bird sings")
    save_file(tensors, run / "model.safetensors", {"rnnlm": json.dumps(metadata)})
    assert rnnlm.load(run).perplexity("a bird sings") == wanted


def test_files_that_are_something_else(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for content, message in (
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "a Git LFS pointer, .*git lfs pull"),
        (b"PK\x03\x04archive", r"a pickle of PyTorch \(.pt\), .*safetensors.torch.save_file"),
        (b"\x80\x02}q\x00", "a pickle of PyTorch"),
    ):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=message):
            rnnlm.load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ModelError, match="not a regular file"):
            rnnlm.load(path)


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
    save_file({"x": np.zeros(3, np.float32)}, path, {"rnnlm": "[" * 100_000})
    with pytest.raises(ModelError, match="not JSON"):
        rnnlm.load(path)
    save_file({"x": np.zeros(3, np.float32)}, path, {"rnnlm": f'{{"format": 2, "counts": [{"1" * 6000}]}}'})
    with pytest.raises(ModelError, match="not JSON"):
        rnnlm.load(path)
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError, match="not a whole safetensors file: .*; give a run's folder or its model"):
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
