"""The position of a run: with the arrays of its checkpoint, all that training depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rnnlm.files.header import Figure, Whole, one_line


@dataclass
class Position:
    """The place of a run in its training text, and what it remembers of its validations."""

    updates: Whole = 0  # made so far
    epoch: Whole = 0  # passes completed
    offset: Whole = 0  # tokens of each stream that have had their loss in this pass
    window: Whole = 0  # where in the stream the next window begins; before `offset` where windows overlap
    tokens: Whole = 0  # tokens trained on
    seconds: Figure = 0.0
    rate: Figure = 0.0  # learning rate of the last update
    reductions: Whole = 0  # of the learning rate, by schedule plateau
    best: Figure | None = None  # the lowest validation perplexity
    best_epoch: Whole = 0
    stale: Whole = 0  # validations since the best one
    epoch_loss: Figure = 0.0  # of this pass so far, nats
    epoch_tokens: Whole = 0
    since_loss: Figure = 0.0  # since the last progress record
    since_tokens: Whole = 0
    losses: list[Figure] = field(default_factory=list)  # of the validations, nats a token
    validated: Whole = 0  # updates made before the last validation
    averaged: Whole = 0  # updates in the average of the weights
    logged: Whole | None = None  # records in the log; None: an older version wrote the checkpoint
    finished: str = ""  # why training has ended
    corpus: str = ""  # key of the training corpus


def read(values: dict[str, Any]) -> Position:
    """The position that a checkpoint holds.

    Raises:
        ValueError: something of it cannot be.
    """
    try:
        return TypeAdapter(Position).validate_python(values)
    except ValidationError as error:
        raise ValueError(one_line(error)) from None
