"""Arrays that are used again window after window, so that training allocates nothing while it runs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Buffers:
    """Arrays by name. An array keeps its memory until a larger one of the same name is asked for."""

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self._flat: dict[str, NDArray[Any]] = {}
        self._children: dict[str, Buffers] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: DTypeLike | None = None) -> NDArray[Any]:
        """A C-contiguous array of this shape with whatever was in it before; the one of this name given out earlier
        is gone."""
        size = math.prod(shape)
        flat = self._flat.get(name)
        if flat is None or flat.size < size:
            flat = self._flat[name] = np.empty(size, self.dtype if dtype is None else dtype)
        return flat[:size].reshape(shape)

    def part(self, name: str) -> Buffers:
        """A set of its own for one layer."""
        if name not in self._children:
            self._children[name] = Buffers(self.dtype)
        return self._children[name]

    @property
    def bytes(self) -> int:
        return sum(a.nbytes for a in self._flat.values()) + sum(child.bytes for child in self._children.values())
