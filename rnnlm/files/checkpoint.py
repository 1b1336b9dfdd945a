"""Checkpoints: ``state.safetensors``, all that training needs to go on.

Both hold the weights and, in the header, the configuration and the vocabulary, so either one is a whole model: the
first is the best by validation, the second the last. The state adds the optimizer's moments, the average of the
weights where there is one (then the model holds that), the hidden state and the place in the corpus, and is written
whole or not at all, so a killed run goes on from one consistent instant. Random numbers need no place in it: all of
them are computed from the seed and the step.

Nothing in ``model.safetensors`` depends on the clock or on where the run's folder lies: the same training gives the
same bytes. When it was trained stands in ``log.jsonl``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rnnlm.config import file as config_file
from rnnlm.config.errors import in_yaml
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError, ModelError
from rnnlm.files import tensors as storage
from rnnlm.network import build
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.version import __version__

MODEL, STATE = "model.safetensors", "state.safetensors"

# What may differ when a run goes on: how long and how watched, not what is trained.
MAY_CHANGE = (
    "run", "train.epochs", "train.max_updates", "train.patience", "train.threads", "train.checkpoint", "train.log",
)  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """A trained network as a file holds it."""

    config: Config
    vocabulary: Vocabulary
    parameters: dict[str, np.ndarray]
    training: dict[str, Any]
    path: Path
    extra: dict[str, np.ndarray] = field(default_factory=dict)


def save_model(
    path: Path, config: Config, vocabulary: Vocabulary, parameters: dict[str, np.ndarray], training: dict[str, Any]
) -> None:
    """Write ``model.safetensors``. `training` goes into the header: step, epoch, best validation perplexity ..."""
    storage.write_tensors(path, parameters, header(config, vocabulary, training))


def save_state(
    path: Path,
    config: Config,
    vocabulary: Vocabulary,
    arrays: dict[str, np.ndarray],
    position: dict[str, Any],
    training: dict[str, Any],
) -> None:
    """Write ``state.safetensors``: the weights and whatever else training needs to go on, by name, and its place."""
    storage.write_tensors(path, arrays, header(config, vocabulary, training) | {"position": position})


def load(path: str | Path) -> Trained:
    """Read a run's folder, its ``model.safetensors`` or its ``state.safetensors``.

    Raises:
        ModelError: not there, damaged, or not what its own header says.
    """
    path = Path(path)
    if path.is_dir():
        path = path / MODEL if (path / MODEL).exists() or not (path / STATE).exists() else path / STATE
        if not path.exists():
            raise ModelError(f"{path.parent}: no {MODEL} in this folder; has it been trained yet?")
    tensors, metadata = storage.read_tensors(path)
    try:
        values = metadata["config"]
        config = config_file.validate(values)
        vocabulary = Vocabulary(metadata["vocabulary"], metadata["counts"], config.data.unit, config.vocab.lowercase)
        training = dict(metadata["training"])
        expected = build.shapes(config, len(vocabulary))
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ModelError(f"{path}: damaged: the header does not hold a model ({error})") from None
    dtype = np.dtype(config.train.dtype)
    for name, shape in expected.items():
        found = tensors.get(name)
        if found is None:
            raise ModelError(f"{path}: damaged: the tensor {name} is missing")
        if found.shape != shape or found.dtype != dtype:
            raise ModelError(
                f"{path}: damaged: {name} is {found.dtype} {found.shape}; its configuration asks for {dtype} {shape}"
            )
    parameters = {name: tensors.pop(name) for name in expected}
    if "position" in metadata:
        training["position"] = metadata["position"]
    return Trained(config, vocabulary, parameters, training, path, tensors)


def check_same(config: Config, trained: Trained) -> None:
    """A run goes on only with the configuration that it began with, but for MAY_CHANGE.

    Raises:
        ConfigError: names the first key that differs, with both values.
    """
    for key, had, asked in _differences(trained.config.model_dump(), config.model_dump()):
        raise ConfigError(
            f"{trained.path.parent}: this run has {key}: {in_yaml(had)}, the configuration {in_yaml(asked)}; "
            "take the run's own config.yaml, or another folder with --run"
        )


def _differences(had: Any, asked: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every key whose value differs, with both values; a section's type comes before its options."""
    if key in MAY_CHANGE:
        return
    if isinstance(had, dict) and isinstance(asked, dict):
        for name, value in asked.items():
            yield from _differences(had.get(name), value, f"{key}.{name}" if key else name)
    elif had != asked:
        yield key, had, asked


def header(config: Config, vocabulary: Vocabulary, training: dict[str, Any]) -> dict[str, Any]:
    """What stands in a file's header."""
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
