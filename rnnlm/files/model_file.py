"""Model files: ``model.safetensors``, the best network by validation, enough to score and sample alone.

The tensors are the parameters. The header holds the configuration, the vocabulary with its counts, and what training
came to. Nothing in it depends on the clock or on where the run's folder lies: the same training gives the same bytes.
When it was trained stands in ``log.jsonl``.

A checkpoint (``files.checkpoint``) is such a file with more in it, so `load` reads both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError, ModelError
from rnnlm.files import header as header_of
from rnnlm.files import tensors as storage
from rnnlm.network import build
from rnnlm.network.protocols import Array
from rnnlm.text.vocabulary import Vocabulary, check_tokens
from rnnlm.version import __version__

MODEL = "model.safetensors"
STATE = "state.safetensors"  # the checkpoint of a run: a model and more, see ``checkpoint``


@dataclass(frozen=True)
class Trained:
    """A trained network as a file holds it.

    Attributes:
        training: updates, epoch, best validation perplexity ...
        extra: tensors that are no parameters; a checkpoint's are what training goes on from.
        position: where training was, in a checkpoint; None in a model file.
    """

    config: Config
    vocabulary: Vocabulary
    parameters: dict[str, Array]
    training: dict[str, Any]
    path: Path
    extra: dict[str, Array] = field(default_factory=dict)
    position: dict[str, Any] | None = None


def save_model(
    path: Path, config: Config, vocabulary: Vocabulary, parameters: dict[str, Array], training: dict[str, Any]
) -> None:
    """Write a model file; the arguments are those of `Trained`."""
    storage.write_tensors(path, parameters, header(config, vocabulary, training))


def load(path: str | Path) -> Trained:
    """Read a model file, a run's folder (its model file; its checkpoint, where there is none yet), or a checkpoint.

    Raises:
        ModelError: not there, damaged, or not what its own header says.
    """
    path = Path(path)
    if path.is_dir():
        found = [path / name for name in (MODEL, STATE) if (path / name).exists()]
        if not found:
            raise ModelError(f"{path}: no {MODEL} in this folder; has it been trained yet?")
        path = found[0]
    tensors, metadata = storage.read_tensors(path)
    config, vocabulary = read_header(path, metadata)
    shapes = expected_tensors(config, len(vocabulary), tensors)
    try:
        storage.check(tensors, shapes, np.dtype(config.train.dtype))
    except ValueError as error:
        raise ModelError(f"{path}: damaged: {error}; take an earlier copy or train again") from None
    parameters = {name: tensors.pop(name) for name in build.shapes(config, len(vocabulary))}
    training = dict(metadata["training"])
    return Trained(config, vocabulary, parameters, training, path, tensors, metadata.get("position"))


def read_header(path: str | Path, metadata: dict[str, Any]) -> tuple[Config, Vocabulary]:
    """The configuration and the vocabulary of a model file's metadata, which is validated whole.

    Raises:
        ModelError: the first thing that is wrong.
    """
    try:
        header_of.validate(metadata)
        config = config_file.validate(metadata["config"])
        check_tokens(metadata["vocabulary"], metadata["counts"], config.data.unit)
    except (ValueError, ConfigError) as error:
        raise ModelError(f"{path}: damaged: the header does not hold a model ({error})") from None
    return config, Vocabulary(metadata["vocabulary"], metadata["counts"], config.data.unit, config.vocab.lowercase)


def expected_tensors(config: Config, vocabulary: int, found: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that a model file must have, and of those that it may have where they are among the
    names `found`."""
    return dict(build.shapes(config, vocabulary))


def header(config: Config, vocabulary: Vocabulary, training: dict[str, Any]) -> dict[str, Any]:
    """The metadata of a model file."""
    # Where the folder of the run lies is no part of the model: its bytes must not depend on it.
    values = config.model_dump()
    del values["run"]
    return {
        "format": storage.FORMAT,
        "config": values,
        "vocabulary": list(vocabulary.tokens),
        "counts": vocabulary.counts.tolist(),
        "training": {**training, "version": __version__},
    }
