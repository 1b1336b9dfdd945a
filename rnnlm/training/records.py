"""Records of training: what it yields. `updates`: made so far; records with an `event` are kept in ``log.jsonl``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rnnlm.work import Note, Progress

TASK = "training"  # of Progress between these records


@dataclass(frozen=True)
class Source:
    """The model that a run starts from (``train.from``).

    sha256: of its file. matched: tokens of the vocabulary that it has too; new: those that it has not; left_out: its
    tokens that are not in the vocabulary.
    """

    sha256: str
    matched: int
    new: int
    left_out: int


@dataclass(frozen=True)
class Start:
    """Training begins (or goes on, when ``updates`` > 0; the log keeps its beginning alone).

    products: how it multiplies, which is also the layout of its operands (``kernels.matmul.choice``), and why.
    version: of rnnlm. config_sha256: of what is trained (``config.fingerprint``). texts: sha256 of the "train",
    "valid" and "test" text. ranks: processes that train together. processor: as LLVM calls it. started: the date and
    time in UTC (ISO 8601). source: a ``Source`` as plain data, None where the weights were initialized. files: of
    each text that is several, the path, weight and tokens of its files.
    """

    updates: int
    epoch: int
    epochs: int
    updates_per_epoch: int
    total_updates: int
    tokens_per_epoch: int
    parameters: int
    threads: int
    products: str
    products_why: str
    version: str
    config_sha256: str
    texts: dict[str, str]
    ranks: int
    processor: str
    started: str
    source: dict[str, Any] | None = None
    files: dict[str, list[dict[str, str | int]]] = field(default_factory=dict)
    event: str = "start"


@dataclass(frozen=True)
class Point:
    """When something was: after so many updates, full passes, tokens and seconds of training."""

    updates: int
    epoch: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Resumed(Point):
    """Training goes on with other ranks, or threads of each, than before.

    The streams, their states and the position in the text are the same; sums are rounded in another order.
    """

    ranks: int
    threads: int
    ranks_before: int
    threads_before: int
    event: str = "resumed"


@dataclass(frozen=True)
class Updates(Point):
    """Means over the updates since the record before; ``loss`` in nats a token."""

    loss: float
    perplexity: float
    tokens_per_second: float
    learning_rate: float
    gradient_norm: float
    event: str = "updates"


@dataclass(frozen=True)
class Valid(Point):
    """A validation; ``loss`` in nats a token of the validation text.

    epoch: passes completed; share: of the pass after them that has been made, 0 at an epoch's end.
    train_perplexity: of that pass so far, or of the one completed; infinite before the first update.
    """

    loss: float
    perplexity: float
    tokens_per_second: float
    learning_rate: float
    train_perplexity: float
    best: bool
    share: float = 0.0
    event: str = "valid"


@dataclass(frozen=True)
class TrainingSample(Point):
    """A text that the network wrote as it was after so many updates, the prompt before it."""

    text: str
    event: str = "sample"


@dataclass(frozen=True)
class RankSpeeds(Point):
    """The speeds of the ranks that train together, since the record before; a figure a rank.

    computing_seconds, waiting_seconds: of its updates; it waits for the others and for what travels.
    """

    machines: tuple[str, ...]
    streams: tuple[int, ...]
    threads: tuple[int, ...]
    computing_seconds: tuple[float, ...]
    waiting_seconds: tuple[float, ...]
    event: str = "ranks"


@dataclass(frozen=True)
class Checkpoint(Point):
    """The state was saved under `path`."""

    path: str
    event: str = "checkpoint"


@dataclass(frozen=True)
class End(Point):
    """Why training ended: ``epochs``, ``max_updates``, ``max_minutes``, ``patience`` or ``interrupted``."""

    reason: str
    best_perplexity: float | None
    run: str
    event: str = "end"


@dataclass(frozen=True)
class FinalTest(Point):
    """The best model on the test text, after training; ``loss`` in nats a token of that text.

    updates, epoch, tokens, seconds: those of the `End` before it. scored, unknown: tokens of the test text, and those
    out of the vocabulary. baseline: order and perplexity of an n-gram model of the same training text, on that text;
    None where it would have taken long. files: perplexity by the path of each file, where the text is several.
    """

    loss: float
    perplexity: float
    scored: int
    unknown: int
    baseline: dict[str, float] | None = None
    files: dict[str, float] | None = None
    event: str = "test"


# Whatever training yields.
Record = Note | Progress | Start | Updates | Valid | TrainingSample | RankSpeeds | Checkpoint | End
