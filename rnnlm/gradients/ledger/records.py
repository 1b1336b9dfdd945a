"""The record of a ledger."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lag:
    """All parts of one lag together: their mean norm, the sum of their shares and their mean cosine with the whole,
    each by parameter; the mean and the largest norm of dh(t)/dh(t-k).

    `jacobians`: the mean norm of dc(t)/dc(t-k), by the state's part. `carried`, `carried_mean`: the means over the
    losses of ``Carried.largest`` and ``Carried.mean``; None without a carried path."""

    lag: int
    norm: dict[str, float]
    share: dict[str, float]
    cosine: dict[str, float]
    jacobian: float
    largest_jacobian: float
    jacobians: dict[str, float] = field(default_factory=dict)
    carried: float | None = None
    carried_mean: float | None = None


@dataclass(frozen=True)
class Carried:
    """The path on which a gated cell's state is only multiplied: over k steps by the product of a gate's values.

    `gate`: the factor, as "f" in c(t) = f o c(t-1) + i o g; `state`: what it multiplies. Arrays are losses x lags:
    `largest` of the products over the units, which is the norm of dc(t)/dc(t-k) along this path alone, and their
    `mean`."""

    gate: str
    state: str
    largest: NDArray[np.float64]
    mean: NDArray[np.float64]


@dataclass(frozen=True)
class LayerLedger:
    """One recurrent layer's parts of the gradient. Arrays are losses x lags, [i, k]: what loss i sends to the step k
    before its own; NaN where that step is before the window.

    `norm`, `share`, `cosine`: by parameter, "H", "I", "b1" ... and "e" (the layer's input), and of a cell with gates
    by the `gates`' blocks of them, "H_f", "I_f" ... A share is <part, whole> over <whole, whole>, so that all shares
    of a parameter add up to 1. `jacobian`: the spectral norm of dh(t)/dh(t-k).
    `whole`: the norm of each parameter's gradient. `agreement`: norm(sum of the parts - the training kernels'
    gradient) over that gradient's norm. `rate`: what the mean norm of dh(t)/dh(t-k) is multiplied by a step, from lag
    1 to the last one where it is not zero; None where there are not two such lags. `jacobians`, `rates`: the same of
    the state's other parts: "c" of an LSTM, "s" of an SCRN."""

    name: str
    norm: dict[str, NDArray[np.float64]]
    share: dict[str, NDArray[np.float64]]
    cosine: dict[str, NDArray[np.float64]]
    jacobian: NDArray[np.float64]
    whole: dict[str, float]
    agreement: dict[str, float]
    lags: tuple[Lag, ...]
    rate: float | None
    gates: tuple[str, ...] = ()
    jacobians: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    rates: dict[str, float | None] = field(default_factory=dict)
    carried: Carried | None = None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in `norm` that are whole parameters, and "e"."""
        return tuple(name for name in self.norm if name not in self.gates)


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
    last ``len(surprisal)`` steps have a loss, `surprisal` in nats. `activation`: an Elman network's. `kept`:
    truncation after 1, 2, ... steps, all recurrent parameters and inputs together; `advice`: the least number of
    steps from which on 99% of the norm is kept."""

    source: str
    cell: str
    activation: str | None
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
class Side:
    """One of several models whose ledgers of the same window stand side by side; `name` tells it from the others."""

    name: str
    ledger: Ledger
