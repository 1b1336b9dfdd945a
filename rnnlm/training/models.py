"""The model files that a run writes: the best by validation, the last one, numbered ones that stay.

    model.safetensors             the best by validation; without any validation so far, the last
    model-UPDATES.safetensors     those of the latest ``train.checkpoint.keep`` checkpoints
    model-before.safetensors      the model before, where training has ended inside an epoch with a better one

Training that ends inside an epoch is validated there, and leaves its model where that is the best. A run that goes on
knows nothing of it: with the old model put back it comes to the bytes of a run that was never stopped.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rnnlm.config.schema import Config
from rnnlm.files import atomic
from rnnlm.files.model_file import MODEL, MODEL_BEFORE, numbered, numbered_models, save_model
from rnnlm.network.network import Network
from rnnlm.network.protocols import Array
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training.averaging import Average


class Models:
    """The model files of one run, with the weights as they are now, or their average where there is one."""

    def __init__(self, config: Config, vocabulary: Vocabulary, network: Network, average: Average) -> None:
        self.config, self.vocabulary, self.network, self.average = config, vocabulary, network, average
        self.folder = Path(config.run)

    def save(self, training: dict[str, Any], initial: list[Array] | None) -> None:
        """``model.safetensors``. training: what the header says of it; initial: the states that it begins texts
        with."""
        self._save(MODEL, training, initial)

    def save_at_the_end(self, training: dict[str, Any], initial: list[Array] | None) -> None:
        """`save` for an end inside an epoch, so that `put_back` can undo it."""
        before = self.folder / MODEL_BEFORE
        if not before.exists():
            with atomic.atomic_write(before) as file:
                file.write((self.folder / MODEL).read_bytes())
        self._save(MODEL, training, initial)

    def put_back(self) -> None:
        """Undo `save_at_the_end`, for a run that goes on."""
        before = self.folder / MODEL_BEFORE
        if before.exists():
            os.replace(before, self.folder / MODEL)

    def save_numbered(self, updates: int, training: dict[str, Any], initial: list[Array] | None) -> None:
        """The model of a checkpoint, where ``train.checkpoint.keep`` asks for it; removes those that do not stay."""
        keep = self.config.train.checkpoint.keep
        if keep == 0:
            return
        self._save(numbered(updates), training, initial)
        # A killed run may have come further than the checkpoint that it went on from.
        now = [path for number, path in numbered_models(self.folder) if number <= updates]
        for _, path in numbered_models(self.folder):
            if path not in now[-keep:]:
                path.unlink()

    def _save(self, name: str, training: dict[str, Any], initial: list[Array] | None) -> None:
        with self.average.in_place():
            save_model(self.folder / name, self.config, self.vocabulary, self.network.named, training, initial)
