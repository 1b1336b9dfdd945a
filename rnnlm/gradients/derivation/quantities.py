"""Quantities of a derivation, each made together with its check.

A derivative is held against central differences of the function that it is of. Where these differ they may be only
rounding (a saturated unit, a J near 0), or step over a kink of relu: there the complex step of the same function
decides, Im f(x + i s) / s. What is wrong fails with both.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.check import differences
from rnnlm.gradients.derivation.records import Quantity

Array = NDArray[np.float64]

# Relative to the largest number shown: derivatives against central differences, values against the same sums in
# another order.
_DERIVATIVE, _VALUE = 1e-7, 1e-11
_DIFFERENCES = "central differences"
# Where rounding may be more than this part of a central difference, it shows nothing.
_UNSURE = 1e-2
_COMPLEX = "the complex step, as central differences are only rounding here"


class Checker:
    """Makes quantities; of a long side only `edge` rows or columns at each end are checked, as they are shown.

    given: the arrays that the derivation starts from; their largest number says how far rounding goes.
    """

    def __init__(self, edge: int, given: Iterable[Array] = ()) -> None:
        self.edge = edge
        self.floor = 64 * differences.EPSILON * max([1.0, *(float(np.abs(x).max()) for x in given)])

    def given(self, name: str, rule: str, symbols: str, value: Array) -> Quantity:
        """Where the derivation starts from: nothing to check."""
        return Quantity(name, rule, symbols, value, edge=self.edge)

    def equal(self, name: str, rule: str, symbols: str, value: Array, other: Array, against: str) -> Quantity:
        """A value beside another way to the same numbers."""
        places = self._places(value)
        other = np.reshape(other, value.shape)
        return self._made(
            name, rule, symbols, value, places, [float(other[p]) for p in places], against, _VALUE, self.floor
        )

    def sums(
        self, name: str, rule: str, symbols: str, value: Array, pairs: Sequence[tuple[Array, Array]], bias: Array
    ) -> Quantity:
        """A row sum_i a_i W_ij + ... + b_j, beside the sum written out element by element (exactly rounded)."""
        places = self._places(value)
        written = [
            math.fsum([*(a[0, i] * W[i, j] for a, W in pairs for i in range(a.shape[1])), bias[0, j]])
            for _, j in places
        ]
        return self._made(name, rule, symbols, value, places, written, "the sum written out", _VALUE, self.floor)

    def derivative(
        self, name: str, rule: str, symbols: str, value: Array, function: Callable[[Array], Any], at: Array
    ) -> Quantity:
        """The derivative of a scalar function of an array."""
        places = self._places(value)

        def moved(place: tuple[int, ...]) -> Callable[[Any], Any]:
            def along(by: Any) -> Any:
                x = at.astype(np.result_type(at, by))
                x[place] += by
                return function(x)

            return along

        return self._derived(name, rule, symbols, value, places, [moved(place) for place in places])

    def elementwise(
        self, name: str, rule: str, symbols: str, value: Array, function: Callable[[Array], Array], at: Array
    ) -> Quantity:
        """The derivative of an elementwise function."""
        places = self._places(value)

        def moved(place: tuple[int, ...]) -> Callable[[Any], Any]:
            return lambda by: function(at + by)[place]

        return self._derived(name, rule, symbols, value, places, [moved(place) for place in places])

    def along(self, name: str, rule: str, value: float, function: Callable[[Any], Any]) -> Quantity:
        """The derivative of a function of one number at 0."""
        return self._derived(name, rule, "1 x 1", np.array(value), [()], [function])

    def change(self, name: str, rule: str, value: float, function: Callable[[Any], Any]) -> Quantity:
        """The first-order prediction of f(1) - f(0): equal to a thousandth, or else df/dx at 0."""
        came = float(function(1.0) - function(0.0))
        made = self._made(name, rule, "1 x 1", np.array(value), [()], [came], "J computed again", 1e-3, 0.0)
        return made if made.passed else self.along(name, rule, value, function)

    def _derived(
        self, name: str, rule: str, symbols: str, value: Array, places: list[tuple[int, ...]],
        functions: list[Callable[[Any], Any]],
    ) -> Quantity:  # fmt: skip
        numeric = [differences.central(function) for function in functions]
        slack = differences.rounding(functions[0](0.0))
        made = self._made(name, rule, symbols, value, places, numeric, _DIFFERENCES, _DERIVATIVE, slack)
        if made.passed and slack <= _UNSURE * max(np.abs(numeric)):
            return made
        s = differences.COMPLEX_STEP
        exact = [function(1j * s).imag / s for function in functions]
        return self._made(name, rule, symbols, value, places, exact, _COMPLEX, _VALUE, self.floor)

    def _made(
        self, name: str, rule: str, symbols: str, value: Array, places: list[tuple[int, ...]], others: list[float],
        against: str, relative: float, slack: float,
    ) -> Quantity:  # fmt: skip
        own = np.array([value[place] for place in places])
        other = np.array(others)
        error = float(np.abs(own - other).max())
        scale = float(max(np.abs(own).max(), np.abs(other).max()))
        passed = bool(error <= relative * scale + slack)
        return Quantity(name, rule, symbols, np.asarray(value), against, error, passed, self.edge)

    def _places(self, value: Array) -> list[tuple[int, ...]]:
        sides = [
            range(n) if not self.edge or n <= 2 * self.edge else [*range(self.edge), *range(n - self.edge, n)]
            for n in value.shape
        ]
        return list(itertools.product(*sides))
