"""Sums of float64 numbers that do not depend on the order in which they are added up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A number is a multiple of 2**-16 and a rest of at most 2**-17; so many of each add up in 64 bits.
_UPPER = 16
_AT_ONCE = 1 << 20
_UNIT = 52  # numbers are rounded to multiples of 2**-52
_LARGEST = 2.0**26  # larger ones are added up as they are


class ExactSum:
    """A sum that is the same whatever order and parts its numbers come in: windows, streams, or shares of ranks.

    It is an integer, in units to which each number is rounded before; so it has no other rounding errors. Numbers of
    2**26 and above in size, infinite ones and NaN are added up as float64.
    """

    def __init__(self) -> None:
        self._units = 0
        self._large = 0.0

    def add(self, numbers: NDArray[np.float64]) -> None:
        """Add some numbers."""
        for first in range(0, len(numbers), _AT_ONCE):
            self._add(numbers[first : first + _AT_ONCE])

    def _add(self, numbers: NDArray[np.float64]) -> None:
        small = np.abs(numbers) < _LARGEST
        if not small.all():
            self._large += float(numbers[~small].sum())
            numbers = numbers[small]
        upper = np.rint(numbers * 2.0**_UPPER)
        rest = np.rint((numbers - upper * 2.0**-_UPPER) * 2.0**_UNIT)  # exact but for the last rounding
        self._units += (int(upper.astype(np.int64).sum()) << (_UNIT - _UPPER)) + int(rest.astype(np.int64).sum())

    def __float__(self) -> float:
        return self._units / 2**_UNIT + self._large
