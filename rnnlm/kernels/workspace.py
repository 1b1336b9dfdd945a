"""Arrays that are used again window after window, so that training allocates nothing while it runs."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.matmul.routines import load

_LINE = 64


def aligned(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """A one-dimensional array that begins with a cache line, with whatever was in it before. A vector that lies
    across two lines takes two reads: products are a third slower (bfloat16), and NumPy's arrays begin where they
    like."""
    kind = np.dtype(dtype)
    memory = np.empty(size * kind.itemsize + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + size * kind.itemsize].view(kind)


class Workspace:
    """Arrays by name. An array keeps its memory until a larger one of the same name is asked for.

    Args:
        dtype: of the numbers that the layers compute with.
        packed: of the operands of products (``matmul.layout``): `dtype`, or uint32 for pairs of bfloat16.
    """

    def __init__(self, dtype: DTypeLike, packed: DTypeLike | None = None) -> None:
        self.dtype = np.dtype(dtype)
        self.packed = np.dtype(dtype if packed is None else packed)
        load(self.packed)
        self._flat: dict[str, NDArray[Any]] = {}
        self._children: dict[str, Workspace] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: DTypeLike | None = None) -> NDArray[Any]:
        """A C-contiguous array of this shape with whatever was in it before; the one of this name given out earlier
        is gone."""
        size = math.prod(shape)
        flat = self._flat.get(name)
        if flat is None or flat.size < size:
            flat = self._flat[name] = aligned(size, self.dtype if dtype is None else dtype)
        return flat[:size].reshape(shape)

    def panels(self, name: str, k: int, n: int, threads: int | None = None) -> NDArray[Any]:
        """Room for a k x n matrix packed as panels, or for one a thread."""
        size = self._deep(k) * (-(-n // LANES) * LANES)
        return self.take(name, (size,) if threads is None else (threads, size), self.packed)

    def rows(self, name: str, *shape: int) -> NDArray[Any]:
        """Room for the pairs of an operand by rows; nothing where products read the numbers themselves."""
        *outer, k = shape
        shape = (*outer, self._deep(k)) if self.packed == np.uint32 else (0,) * len(shape)
        return self.take(name, shape, self.packed)

    def columns(self, name: str, k: int, m: int, threads: int | None = None) -> NDArray[Any]:
        """The same for an operand by columns, or for one a thread."""
        shape = (self._deep(k), m) if self.packed == np.uint32 else (0, 0)
        return self.take(name, shape if threads is None else (threads, *shape), self.packed)

    def unrounded(self, name: str, *shape: int) -> NDArray[Any]:
        """Room for numbers on their way into an operand; nothing where products read the numbers themselves."""
        return self.take(name, shape if self.packed == np.uint32 else (0,) * len(shape))

    def _deep(self, k: int) -> int:
        return (k + 1) // 2 if self.packed == np.uint32 else k

    def part(self, name: str) -> Workspace:
        """A set of its own for one layer."""
        if name not in self._children:
            self._children[name] = Workspace(self.dtype, self.packed)
        return self._children[name]

    @property
    def bytes(self) -> int:
        return sum(a.nbytes for a in self._flat.values()) + sum(child.bytes for child in self._children.values())


class Context(NamedTuple):
    """What a layer computes with: a workspace of its own and a number of threads."""

    workspace: Workspace
    threads: int

    def part(self, name: str) -> Context:
        """The same for a part of the layer."""
        return Context(self.workspace.part(name), self.threads)
