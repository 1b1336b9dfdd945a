"""Model files: ``model.safetensors``, the best network by validation, enough to score and sample alone.

The tensors are the parameters, and of each layer the state that a text begins with (``initial.0`` ..., S numbers; a
model without them begins with 0). The header holds the configuration, the vocabulary with its counts, the
model that cuts a text into subwords, and what training came to. Nothing in it depends on the clock or on where the
run's folder lies: the same training gives the same bytes. When it was trained stands in ``log.jsonl``.

A checkpoint (``files.checkpoint``) is such a file with more in it, so `load` reads both.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.config import file as config_file
from rnnlm.config.network import Classes, FrequencyClasses
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError, ModelError
from rnnlm.files import header as header_of
from rnnlm.files import tensors as storage
from rnnlm.network import build
from rnnlm.network.outputs.classes.assignment import choose
from rnnlm.network.protocols import Array
from rnnlm.text.tokenizers import Subwords
from rnnlm.text.vocabulary import Vocabulary, check_tokens
from rnnlm.version import __version__

MODEL = "model.safetensors"
MODEL_BEFORE = "model-before.safetensors"  # see ``training.models``, and `numbered`
STATE = "state.safetensors"  # the checkpoint of a run: a model and more, see ``checkpoint``


@dataclass(frozen=True)
class Trained:
    """A trained network as a file holds it.

    Attributes:
        training: updates, epoch, best validation perplexity, hashes of the texts ...
        extra: tensors that are no parameters; a checkpoint's are what training goes on from.
        position: where training was, in a checkpoint; None in a model file.
        paths: absolute paths of the configuration by key, in a checkpoint.
        initial: of each layer the state that a text begins with, S numbers; None: 0.
    """

    config: Config
    vocabulary: Vocabulary
    parameters: dict[str, Array]
    training: dict[str, Any]
    path: Path
    extra: dict[str, Array] = field(default_factory=dict)
    position: dict[str, Any] | None = None
    paths: dict[str, str] = field(default_factory=dict)
    initial: list[Array] | None = None

    @property
    def texts(self) -> dict[str, str]:
        """sha256 of the training, validation and test text, by "train", "valid", "test"; none for a text that there
        was not, or that an older version trained with."""
        return dict(self.training.get("texts", {}))


def numbered(updates: int) -> str:
    """The name of the model of a checkpoint that stays in the run's folder."""
    return f"model-{updates:09d}.safetensors"


def numbered_models(folder: Path) -> list[tuple[int, Path]]:
    """The models in a run's folder that `numbered` names, each with its updates, rising."""
    found = [(re.fullmatch(r"model-(\d{9,})\.safetensors", path.name), path) for path in folder.glob("model-*")]
    return sorted((int(match[1]), path) for match, path in found if match)


def save_model(
    path: Path, config: Config, vocabulary: Vocabulary, parameters: dict[str, Array], training: dict[str, Any],
    initial: list[Array] | None = None,
) -> None:  # fmt: skip
    """Write a model file; the arguments are those of `Trained`."""
    storage.write_tensors(path, parameters | initial_tensors(initial), header(config, vocabulary, training))


def initial_tensors(initial: list[Array] | None) -> dict[str, Array]:
    """The initial states by the names that they have in files."""
    return {f"initial.{layer}": state for layer, state in enumerate(initial or ())}


def load(path: str | Path) -> Trained:
    """Read a model file, a run's folder (its model file; its checkpoint, where there is none yet), or a checkpoint.

    Raises:
        ModelError: not there (any more), damaged, or not what its own header says.
    """
    path, folder = Path(path), None
    if path.is_dir():
        folder = path
        found = [path / name for name in (MODEL, STATE) if (path / name).exists()]
        if not found:
            raise ModelError(f"{path}: no {MODEL} in this folder; has it been trained yet?")
        path = found[0]
    tensors, metadata = storage.read_tensors(path)
    config, vocabulary = read_header(path, metadata)
    if not set(build.shapes(config, len(vocabulary))) & set(tensors):
        raise ModelError(
            f"{path}: weights for another program, as rnnlm export writes them; rnnlm import makes a model of them"
        )
    shapes = expected_tensors(config, len(vocabulary), tensors)
    try:
        storage.check(tensors, shapes, np.dtype(config.train.dtype))
    except ValueError as error:
        raise ModelError(f"{path}: damaged: {error}; take an earlier copy or train again") from None
    parameters = {name: tensors.pop(name) for name in build.shapes(config, len(vocabulary))}
    initial = [tensors.pop(name) for name in _initial_shapes(config, shapes)] or None
    if path.name == STATE and folder is not None:
        check_best(folder, metadata.get("position"))
    training, position, paths = header_of.training_of(metadata), metadata.get("position"), metadata.get("paths", {})
    return Trained(config, vocabulary, parameters, training, path, tensors, position, paths, initial)


def check_best(folder: Path, position: dict[str, Any] | None) -> None:
    """Check that the folder of a run that has had a best model still has it. position: of the run's checkpoint.

    Raises:
        ModelError: it is gone; the weights of the checkpoint are others.
    """
    best = (position or {}).get("best")
    if best is not None and not (folder / MODEL).exists():
        raise ModelError(
            f"{folder}: the best model, {MODEL} (validation perplexity {best:.2f}), is not there any more; put it "
            f"back, or name {folder / STATE} to take the last weights instead"
        )


def exported_header(trained: Trained) -> dict[str, Any]:
    """The metadata of a model as another program's file, whose tensors are that program's alone: with
    ``initial_state``, of each layer a list of S numbers, where the model has one."""
    made = header(trained.config, trained.vocabulary, trained.training)
    return made | ({"initial_state": [state.tolist() for state in trained.initial]} if trained.initial else {})


def read_header(path: str | Path, metadata: dict[str, Any]) -> tuple[Config, Vocabulary]:
    """The configuration and the vocabulary of a model file's metadata, which is validated whole.

    Raises:
        ModelError: the first thing that is wrong.
    """
    try:
        header_of.validate(metadata)
        config = config_file.validate(metadata["config"])
        check_tokens(metadata["vocabulary"], metadata["counts"], config.data.unit)
        classes = _classes(config, metadata)
        tokenizer = _tokenizer(config, metadata, str(path))
    except (ValueError, ConfigError) as error:
        raise ModelError(f"{path}: damaged: the header does not hold a model ({error})") from None
    unit, lowercase = config.data.unit, config.vocab.lowercase
    tokens, counts = metadata["vocabulary"], metadata["counts"]
    return config, Vocabulary(tokens, counts, unit, lowercase, tokenizer, classes)


def _tokenizer(config: Config, metadata: dict[str, Any], name: str) -> str | Subwords:
    """What cuts a text into the tokens: of words a name, of subwords a model. name: the file's, for messages.

    Raises:
        ValueError: the model is not there, or not as it was written.
    """
    if config.data.unit != "subword":
        return config.data.tokenizer
    found = metadata.get("subwords")
    if found is None:
        raise ValueError("subwords: missing")
    tokenizer = Subwords(base64.b64decode(found["model"], validate=True), name)
    if tokenizer.sha256 != found["sha256"]:
        raise ValueError("subwords: not the model of this hash")
    return tokenizer


def _classes(config: Config, metadata: dict[str, Any]) -> NDArray[np.int32] | None:
    """The class of each token, where the output layer does not make them by counts.

    Raises:
        ValueError: the classes are not those of this vocabulary.
    """
    output, found = config.model.output, metadata.get("classes")
    if not isinstance(output, Classes) or isinstance(output.by, FrequencyClasses):
        return None
    if found is None or len(found) != len(metadata["vocabulary"]):
        raise ValueError("classes: not one for each token")
    wanted = output.classes or choose(len(found))
    if set(found) != set(range(wanted)):
        raise ValueError(f"classes: not {wanted:,} of them, each with a token")
    return np.array(found, np.int32)


def expected_tensors(config: Config, vocabulary: int, found: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that a model file must have, and of those that it may have where they are among the
    names `found`."""
    return dict(build.shapes(config, vocabulary)) | _initial_shapes(config, found)


def _initial_shapes(config: Config, found: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The shapes of the initial states by name: of all layers, where the names have any of them."""
    shapes: dict[str, tuple[int, ...]] = {
        f"initial.{layer}": (cell.state_size,) for layer, cell in enumerate(build.cells(config))
    }
    return shapes if shapes.keys() & set(found) else {}


def header(config: Config, vocabulary: Vocabulary, training: dict[str, Any]) -> dict[str, Any]:
    """The metadata of a model file."""
    # Where the folder of the run lies is no part of the model: its bytes must not depend on it.
    values = config.model_dump()
    del values["run"]
    classes = {} if vocabulary.classes is None else {"classes": vocabulary.classes.tolist()}
    subwords = {}
    if isinstance(model := vocabulary.tokenizer, Subwords):
        subwords = {"subwords": {"sha256": model.sha256, "model": base64.b64encode(model.data).decode()}}
    return {
        "format": storage.FORMAT,
        "config": values,
        "vocabulary": list(vocabulary.tokens),
        "counts": vocabulary.counts.tolist(),
        **classes,
        **subwords,
        "training": {**training, "version": __version__},
    }
