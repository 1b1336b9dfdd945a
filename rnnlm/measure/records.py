"""Records of ``rnnlm train --plan``, ``rnnlm bench`` and ``rnnlm warmup``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rnnlm.training.records import Source


@dataclass(frozen=True)
class Plan:
    """Parameters, memory and time of a training run.

    `tensors`: name, shape and size of each parameter; `trained`: numbers of those that are not frozen; `source`: of
    the model that it starts from, None without; `seconds`: of the whole run, with its `validations`, each of
    `seconds_per_validation`; `cutoffs`: of an adaptive softmax, given or chosen, None with other output layers.
    """

    tensors: tuple[tuple[str, tuple[int, ...], int], ...]
    parameters: int
    trained: int
    source: Source | None
    vocabulary: int
    train_tokens: int
    unknown: int
    memory_bytes: int
    available_bytes: int | None
    disk_bytes: int
    threads: int
    tokens_per_second: float
    epochs: int
    total_updates: int
    seconds_per_epoch: float
    validations: int
    seconds_per_validation: float
    seconds: float
    cutoffs: tuple[int, ...] | None = None

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
    """Results of ``rnnlm bench``. `products`: how training multiplies (``kernels.matmul.choice``); `machine_gflops`:
    what the multiply-add units do in that way at most, on all threads (``kernels.peak``); `peak_bytes`: None where
    the system does not say."""

    threads: int
    precision: str
    products: str
    products_why: str
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
