"""The record of a ledger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
    """The gradient of one window by loss and time lag.

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
