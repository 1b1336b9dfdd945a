"""Quantities of a derivation, each made together with its check."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.check import differences
from rnnlm.gradients.derivation.records import Quantity

Array = NDArray[np.float64]

# Relative to the largest number shown: derivatives against central differences, values against the same sums in
# another order.
_DERIVATIVE, _VALUE = 1e-7, 1e-11
_DIFFERENCES = "central differences"
# A second, smaller step, since a kink of relu may lie within the first; what is wrong fails with both.
_STEPS = (differences.STEP, 1e-6)


class Checker:
    """Makes quantities; of a long side only `edge` rows or columns at each end are checked, as they are shown."""

    def __init__(self, edge: int) -> None:
        self.edge = edge

    def given(self, name: str, rule: str, symbols: str, value: Array) -> Quantity:
        """Where the derivation starts from: nothing to check."""
        return Quantity(name, rule, symbols, value, edge=self.edge)

    def equal(self, name: str, rule: str, symbols: str, value: Array, other: Array, against: str) -> Quantity:
        """A value beside another way to the same numbers."""
        places = self._places(value)
        other = np.reshape(other, value.shape)
        return self._made(name, rule, symbols, value, places, [float(other[p]) for p in places], against, _VALUE, 0.0)

    def sums(
        self, name: str, rule: str, symbols: str, value: Array, pairs: Sequence[tuple[Array, Array]], bias: Array
    ) -> Quantity:
        """A row sum_i a_i W_ij + ... + b_j, beside the sum written out element by element (exactly rounded)."""
        places = self._places(value)
        written = [
            math.fsum([*(a[0, i] * W[i, j] for a, W in pairs for i in range(a.shape[1])), bias[0, j]])
            for _, j in places
        ]
        return self._made(name, rule, symbols, value, places, written, "the sum written out", _VALUE, 0.0)

    def derivative(
        self, name: str, rule: str, symbols: str, value: Array, function: Callable[[Array], float], at: Array
    ) -> Quantity:
        """The derivative of a scalar function of an array."""
        places = self._places(value)

        def moved(place: tuple[int, ...]) -> Callable[[float], float]:
            def along(by: float) -> float:
                x = at.copy()
                x[place] += by
                return function(x)

            return along

        return self._derived(name, rule, symbols, value, places, [moved(place) for place in places])

    def elementwise(
        self, name: str, rule: str, symbols: str, value: Array, function: Callable[[Array], Array], at: Array
    ) -> Quantity:
        """The derivative of an elementwise function."""
        places = self._places(value)

        def moved(place: tuple[int, ...]) -> Callable[[float], float]:
            return lambda by: float(function(at + by)[place])

        return self._derived(name, rule, symbols, value, places, [moved(place) for place in places])

    def along(self, name: str, rule: str, value: float, function: Callable[[float], float]) -> Quantity:
        """The derivative of a function of one number at 0."""
        return self._derived(name, rule, "1 x 1", np.array(value), [()], [function])

    def near(self, name: str, rule: str, value: float, other: float, against: str) -> Quantity:
        """A first-order prediction beside what came: equal to a thousandth."""
        slack = 1e-14
        return self._made(name, rule, "1 x 1", np.array(value), [()], [other], against, 1e-3, slack)

    def _derived(
        self, name: str, rule: str, symbols: str, value: Array, places: list[tuple[int, ...]],
        functions: list[Callable[[float], float]],
    ) -> Quantity:  # fmt: skip
        for step in _STEPS:
            numeric = [differences.central(function, step) for function in functions]
            slack = differences.rounding(functions[0](0.0), step)
            made = self._made(name, rule, symbols, value, places, numeric, _DIFFERENCES, _DERIVATIVE, slack)
            if made.passed:
                break
        return made

    def _made(
        self, name: str, rule: str, symbols: str, value: Array, places: list[tuple[int, ...]], others: list[float],
        against: str, relative: float, slack: float,
    ) -> Quantity:  # fmt: skip
        own = np.array([value[place] for place in places])
        other = np.array(others)
        error = float(np.abs(own - other).max())
        scale = float(max(np.abs(own).max(), np.abs(other).max()))
        passed = error <= relative * scale + slack
        return Quantity(name, rule, symbols, np.asarray(value), against, error, passed, self.edge)

    def _places(self, value: Array) -> list[tuple[int, ...]]:
        sides = [
            range(n) if not self.edge or n <= 2 * self.edge else [*range(self.edge), *range(n - self.edge, n)]
            for n in value.shape
        ]
        return list(itertools.product(*sides))
