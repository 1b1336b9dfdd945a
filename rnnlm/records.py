"""What long work yields: plain records, which the console draws and ``log.jsonl`` keeps.

A long function is a generator: it yields these and returns its result (``result = yield from work()``).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Layer:
    """One part of an update: its share of the time, and GFLOP/s of the products that must be done; None: it has
    none."""

    name: str
    share: float
    gflops: float | None


@dataclass(frozen=True)
class Bench:
    """What ``rnnlm bench`` measured. `machine_gflops`: large matrix products of the BLAS on all threads;
    `peak_bytes`: None where the system does not say."""

    threads: int
    precision: str
    machine_gflops: float
    vocabulary: int
    parameters: int
    first_update_seconds: float
    training_tokens_per_second: float
    training_gflops: float
    evaluation_tokens_per_second: float
    sampling_tokens_per_second: float
    sampling_64_tokens_per_second: float
    layers: tuple[Layer, ...]
    peak_bytes: int | None

    def json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Warmed:
    """What ``rnnlm warmup`` compiled, in how long, and the folder that holds it."""

    precisions: tuple[str, ...]
    seconds: float
    cache: str

    def json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ParameterCheck:
    """One parameter's analytic gradient against other ways to the same numbers.

    Errors are largest absolute ones and, relative, these over the largest number of the gradient. `checked`: how many
    of the `size` numbers were compared one by one; random directions cover the others. `place`: where the largest
    error is, with both figures there. `complex_step`: the relative error against a complex step through the plain
    equations, `direction` that along random directions. `cosine`, `ratio`: of the analytic to the numeric numbers.
    `shortest`: the least number of steps for which the gradient is wrong, for one that failed.
    """

    name: str
    shape: tuple[int, ...]
    size: int
    checked: int
    absolute: float
    relative: float
    place: tuple[int, ...]
    analytic: float
    numeric: float
    complex_step: float
    direction: float
    cosine: float
    ratio: float
    passed: bool
    shortest: int | None = None


@dataclass(frozen=True)
class TruncationBias:
    """A truncated gradient beside the untruncated one: their cosine, norm(truncated) / norm(untruncated), and
    norm(truncated - untruncated) / norm(untruncated)."""

    name: str
    cosine: float
    ratio: float
    difference: float


@dataclass(frozen=True)
class GradientCheck:
    """What ``rnnlm gradcheck`` found. `loss` (nats a token) by the kernels, `plain_loss` by the plain equations.
    `untruncated` and `bias` are there when the derivative was also taken through the `through` steps before the
    window; `frozen`: parameters that do not train."""

    parameters: tuple[ParameterCheck, ...]
    frozen: tuple[str, ...]
    loss: float
    plain_loss: float
    forward_passed: bool
    tolerance: float
    start: int
    steps: int
    loss_steps: int
    batch: int
    dropping: bool
    through: int
    untruncated: tuple[ParameterCheck, ...]
    bias: tuple[TruncationBias, ...]
    verdict: str
    passed: bool
    seconds: float

    def json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Lag:
    """All parts of one lag together: their mean norm, the sum of their shares and their mean cosine with the whole,
    each by parameter; the mean and the largest norm of dh(t)/dh(t-k)."""

    lag: int
    norm: dict[str, float]
    share: dict[str, float]
    cosine: dict[str, float]
    jacobian: float
    largest_jacobian: float


@dataclass(frozen=True)
class LayerLedger:
    """One recurrent layer's parts of the gradient. Arrays are losses x lags, [i, k]: what loss i sends to the step k
    before its own; NaN where that step is before the window.

    `norm`, `share`, `cosine`: by parameter, "H", "I", "b1" and "e" (the layer's input). A share is <part, whole> over
    <whole, whole>, so that all shares of a parameter add up to 1. `jacobian`: the spectral norm of dh(t)/dh(t-k).
    `whole`: the norm of each parameter's gradient. `agreement`: norm(sum of the parts - the training kernels'
    gradient) over that gradient's norm. `rate`: what the mean norm of dh(t)/dh(t-k) is multiplied by a step, from lag
    1 to the last one where it is not zero; None where there are not two such lags."""

    name: str
    norm: dict[str, NDArray[np.float64]]
    share: dict[str, NDArray[np.float64]]
    cosine: dict[str, NDArray[np.float64]]
    jacobian: NDArray[np.float64]
    whole: dict[str, float]
    agreement: dict[str, float]
    lags: tuple[Lag, ...]
    rate: float | None


@dataclass(frozen=True)
class Kept:
    """What truncation after `lags` steps keeps of a window's gradient: norm over whole norm, cosine with the whole,
    and norm of what is lost over the whole norm."""

    lags: int
    ratio: float
    cosine: float
    lost: float


@dataclass(frozen=True)
class Ledger:
    """Where the gradient of one window came from.

    `inputs` (one a step) and `targets` are tokens as text, `start` is the window's first token, counted from 0; the
    last ``len(surprisal)`` steps have a loss, `surprisal` in nats. `kept`: truncation after 1, 2, ... steps, all
    recurrent parameters and inputs together; `advice`: the least number of steps from which on 99% of the norm is
    kept."""

    source: str
    activation: str
    start: int
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    surprisal: tuple[float, ...]
    reach: NDArray[np.float64]
    layers: tuple[LayerLedger, ...]
    kept: tuple[Kept, ...]
    advice: int
    bptt: int
    hidden: int | list[int]
    precision: str
    seconds: float

    @property
    def steps(self) -> int:
        return len(self.inputs)

    @property
    def first_loss(self) -> int:
        """The step of the first loss."""
        return self.steps - len(self.surprisal)


@dataclass(frozen=True)
class Heading:
    """A part of the derivation begins."""

    text: str

    def json(self) -> dict[str, Any]:
        return {"heading": self.text}


@dataclass(frozen=True)
class Remark:
    """A sentence of the derivation."""

    text: str

    def json(self) -> dict[str, Any]:
        return {"remark": self.text}


@dataclass(frozen=True)
class Quantity:
    """One quantity of the derivation: its `name`, the `rule` that made it, its size in the `symbols` of the notation
    ("1 x D_h") and its `value` (a matrix, or a scalar of shape ()).

    Of a long side only `edge` rows or columns at each end are shown and checked (0: all of them). `against`: what
    they were held against (empty: given, nothing to check); `error`: the largest difference there."""

    name: str
    rule: str
    symbols: str
    value: NDArray[np.float64]
    against: str = ""
    error: float = 0.0
    passed: bool = True
    edge: int = 0

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "value": self.value.tolist(), "shape": list(self.value.shape)}


def log_line(record: Any) -> dict[str, Any] | None:
    """The object that ``log.jsonl`` keeps of a record, or None for the records it does not keep."""
    return asdict(record) if hasattr(record, "event") else None
