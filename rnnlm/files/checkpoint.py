"""Checkpoints: ``state.safetensors``, all that training needs to go on.

It is a model file of the last weights, with more named arrays (optimizer's moments, average of the weights, hidden
states: what they are is training's affair) and a position in the training text. It is written whole or not at all,
so a killed run goes on from one consistent instant. Random numbers need no place in it: all of them are computed
from the seed and the number of updates made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from rnnlm.config.schema import Config
from rnnlm.errors import ModelError
from rnnlm.files import model_file
from rnnlm.files import tensors as storage
from rnnlm.files.model_file import Trained
from rnnlm.network.protocols import Array
from rnnlm.text.vocabulary import Vocabulary


class State(NamedTuple):
    """A checkpoint as a file holds it. arrays: those that are no parameters."""

    trained: Trained
    arrays: dict[str, Array]
    position: dict[str, Any]


def save_state(
    path: Path,
    config: Config,
    places: dict[str, str],
    vocabulary: Vocabulary,
    arrays: dict[str, Array],
    position: dict[str, Any],
    training: dict[str, Any],
) -> None:
    """Write a checkpoint. places: absolute paths of the configuration, by key; arrays: the parameters and whatever
    else training needs to go on."""
    more = {"position": position, "paths": places}
    storage.write_tensors(path, arrays, model_file.header(config, vocabulary, training) | more)


def load_state(path: Path) -> State:
    """Read a checkpoint.

    Raises:
        ModelError: as ``model_file.load``; or a model file, without a position.
    """
    trained = model_file.load(path)
    if trained.position is None:
        raise ModelError(f"{path}: not a state to go on from: 'position' is missing")
    return State(trained, trained.extra, trained.position)
