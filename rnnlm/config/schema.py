"""The whole configuration: one frozen section for each part of a training run.

The sections stand in ``data``, ``embedding``, ``network`` and ``training``; reading YAML is ``file``'s job.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from rnnlm.config.base import Section, UserPath
from rnnlm.config.data import Data, Vocab
from rnnlm.config.embedding import Embedding
from rnnlm.config.network import Model, Softmax
from rnnlm.config.training import Asgd, Plateau, Train


class Config(Section):
    """One training run."""

    data: Data
    vocab: Vocab = Vocab()
    embedding: Embedding = Embedding()
    model: Model = Model()
    train: Train = Train()
    run: UserPath = Field("runs/rnnlm", description="the run's folder")

    @model_validator(mode="after")
    def sections_fit(self) -> Self:
        """What one section asks of another."""
        if self.data.unit == "byte" and self.vocab.truncated_by:
            raise ValueError(
                f"vocab.{self.vocab.truncated_by} leaves tokens out; of bytes all 256 are in the vocabulary"
            )
        if self.data.unit == "subword" and self.vocab.truncated_by:
            raise ValueError(
                f"vocab.{self.vocab.truncated_by} leaves tokens out; of subwords all pieces of the model are in the "
                "vocabulary: set data.subwords.size"
            )
        if self.data.shuffle and self.train.state != "reset":
            raise ValueError(
                f"data.shuffle: true goes with train.state: reset; found train.state: {self.train.state}, which goes "
                "on from each line to the next"
            )
        if self.data.document is not None and self.train.state != "carry":
            raise ValueError(
                f"data.document: {self.data.document} goes with train.state: carry; found train.state: "
                f"{self.train.state}, which begins each line anew"
            )
        if self.model.tie_weights and not self.embedding.trainable:
            raise ValueError("model.tie_weights needs embedding.trainable: true")
        if self.model.tie_weights and any(name.split(".")[0] == "embedding" for name in self.train.freeze):
            raise ValueError("train.freeze: embedding would freeze U too, which model.tie_weights makes the same")
        if not isinstance(self.model.output, Softmax) and self.train.penalties.label_smoothing > 0:
            raise ValueError(
                "train.penalties.label_smoothing goes with model.output: softmax; "
                f"found model.output: {self.model.output.type}"
            )
        if not self.data.has_validation:
            for key, value in (("schedule", self.train.schedule), ("average", self.train.average)):
                if isinstance(value, Plateau | Asgd):
                    raise ValueError(
                        f"train.{key}: {value.type} waits for validation to stop improving; give a validation text"
                    )
            if self.train.validate.every_updates is not None:
                raise ValueError("train.validate.every_updates validates; give a validation text")
            if self.train.patience is not None:  # a saved configuration says what was done
                object.__setattr__(self, "train", self.train.model_copy(update={"patience": None}))
        return self

    @property
    def state(self) -> str:
        """What becomes of the hidden state at line ends: "carry", "reset", or "document", which carries it and goes
        back to the initial state after a blank line."""
        return self.train.state if self.data.document is None else "document"


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Config.model_json_schema()
