"""Records of training: what it yields. `updates`: made so far; records with an `event` are kept in ``log.jsonl``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Start:
    """Training begins (or goes on, when ``step`` > 0)."""

    step: int
    epoch: int
    epochs: int
    steps_per_epoch: int
    total_steps: int
    tokens_per_epoch: int
    parameters: int
    threads: int


@dataclass(frozen=True)
class Step:
    """Means over the steps since the record before; ``loss`` in nats a token."""

    step: int
    epoch: int
    tokens: int
    seconds: float
    loss: float
    perplexity: float
    tokens_per_second: float
    learning_rate: float
    gradient_norm: float
    event: str = "step"


@dataclass(frozen=True)
class Valid:
    """A validation at an epoch's end; ``loss`` in nats a token of the validation text."""

    step: int
    epoch: int
    tokens: int
    seconds: float
    loss: float
    perplexity: float
    tokens_per_second: float
    learning_rate: float
    train_perplexity: float
    best: bool
    event: str = "valid"


@dataclass(frozen=True)
class Checkpoint:
    step: int
    epoch: int
    tokens: int
    seconds: float
    path: str
    event: str = "checkpoint"


@dataclass(frozen=True)
class End:
    """Why training ended: ``epochs``, ``max_updates``, ``patience`` or ``interrupted``."""

    step: int
    epoch: int
    tokens: int
    seconds: float
    reason: str
    best_perplexity: float | None
    run: str
    event: str = "end"
