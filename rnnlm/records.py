"""What long work yields: plain records, which the console draws and ``log.jsonl`` keeps.

A long function is a generator: it yields these and returns its result (``result = yield from work()``).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

_T = TypeVar("_T")

# A long task: yields records, returns its result.
Work = Generator[Any, None, _T]


@dataclass(frozen=True)
class Note:
    """One line worth telling: what was done, found or skipped."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Progress:
    """How far a task has come, in its own unit (``bytes``, ``tokens``, ``epochs`` ...)."""

    task: str
    done: float
    total: float | None
    unit: str


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
    """Why training ended: ``epochs``, ``max_steps``, ``patience`` or ``interrupted``."""

    step: int
    epoch: int
    tokens: int
    seconds: float
    reason: str
    best_perplexity: float | None
    run: str
    event: str = "end"


@dataclass(frozen=True)
class Sampled:
    """The tokens that one sampling step chose, one a sample; None for a sample that has ended."""

    pieces: tuple[str | None, ...]


@dataclass(frozen=True)
class Evaluation:
    """A perplexity and all that it stands on. Losses are sums over tokens in nats."""

    perplexity: float
    perplexity_with_unk: float
    perplexity_without_unk: float | None
    tokens: int
    unknown: int
    line_ends: int
    characters: int
    bits_per_token: float
    bits_per_character: float
    state: str
    seconds: float
    tokens_per_second: float
    line_end_counts: bool = True
    lowest_perplexity: float | None = None
    notes: tuple[str, ...] = field(default=())

    def json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Samples:
    """Texts that a trained network wrote."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What a training run would take. `tensors`: name, shape and size of each parameter; `seconds`: without
    validation."""

    tensors: tuple[tuple[str, tuple[int, ...], int], ...]
    parameters: int
    vocabulary: int
    train_tokens: int
    unknown: int
    memory_bytes: int
    available_bytes: int | None
    disk_bytes: int
    threads: int
    tokens_per_second: float
    epochs: int
    total_steps: int
    seconds_per_epoch: float
    seconds: float

    def json(self) -> dict[str, Any]:
        return asdict(self)


def log_line(record: Any) -> dict[str, Any] | None:
    """The object that ``log.jsonl`` keeps of a record, or None for the records it does not keep."""
    return asdict(record) if hasattr(record, "event") else None
