"""Records of a derivation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


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


@dataclass(frozen=True)
class FormulaCheck:
    """The check of one `formula` that a person typed, for the quantity `name`.

    `value`: what the formula gives, of the sizes `has`; None where the sizes of its parts do not go together or it
    is not finite, and `unfit` says which. `right`: what the quantity is, of the sizes `symbols`;
    `against`: what the formula was held against (empty: its sizes are wrong), with the largest difference `error`.
    `passed`: it is right with these numbers and with others; `by_chance`: with these alone. `mistake`: what is wrong
    with it, and `corrected`: the formula without this (both empty: not found). Of a long side `edge` rows or columns
    at each end are shown."""

    formula: str
    name: str
    symbols: str
    value: NDArray[np.float64] | None
    right: NDArray[np.float64]
    has: str
    against: str = ""
    error: float = 0.0
    passed: bool = False
    by_chance: bool = False
    mistake: str = ""
    corrected: str = ""
    edge: int = 0
    unfit: str = ""

    def json(self) -> dict[str, Any]:
        value = None if self.value is None else self.value.tolist()
        return {**asdict(self), "value": value, "right": self.right.tolist()}


@dataclass(frozen=True)
class Verdict:
    """The outcome of a derivation's checks: whether all of them passed, and how many quantities were checked."""

    passed: bool
    checked: int

    @classmethod
    def of(cls, records: Iterable[Heading | Remark | Quantity]) -> Verdict:
        quantities = [record for record in records if isinstance(record, Quantity)]
        return cls(all(one.passed for one in quantities), sum(bool(one.against) for one in quantities))
