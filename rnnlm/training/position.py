"""The position of a run: with the arrays of its checkpoint, all that training depends on."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Position:
    """The place of a run in its training text, and what it remembers of its validations."""

    updates: int = 0  # made so far
    epoch: int = 0  # passes completed
    offset: int = 0  # tokens of each stream that have had their loss in this pass
    window: int = 0  # where in the stream the next window begins; before `offset` where windows overlap
    tokens: int = 0  # tokens trained on
    seconds: float = 0.0
    rate: float = 0.0  # learning rate of the last update
    reductions: int = 0  # of the learning rate, by schedule plateau
    best: float | None = None  # the lowest validation perplexity
    best_epoch: int = 0
    stale: int = 0  # validations since the best one
    epoch_loss: float = 0.0  # of this pass so far, nats
    epoch_tokens: int = 0
    since_loss: float = 0.0  # since the last progress record
    since_tokens: int = 0
    losses: list[float] = field(default_factory=list)  # of the validations, nats a token
    validated: int = 0  # updates made before the last validation
    averaged: int = 0  # updates in the average of the weights
    logged: int | None = None  # records in the log; None: an older version wrote the checkpoint
    finished: str = ""  # why training has ended
    corpus: str = ""  # key of the training corpus
