"""The workspace: arrays that are used window after window, so that nothing is allocated."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlm.kernels.matmul import layout as layouts
from rnnlm.kernels.matmul.layout import Layout, Numbers, Packed

_LINE = 64


def aligned(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """A one-dimensional array that begins with a cache line: of zeros, so that Python can go through an update whose
    kernels do not run (``parallel.thread_pool.noted``). A vector that lies across two lines takes two
    reads: products are a third slower (bfloat16), and NumPy's arrays begin where they like."""
    kind = np.dtype(dtype)
    memory = np.zeros(size * kind.itemsize + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + size * kind.itemsize].view(kind)


class Workspace:
    """Arrays by name. An array keeps its memory until a larger one of the same name is asked for.

    Args:
        dtype: of the numbers that the layers compute with.
        layout: of the operands of products.
    """

    def __init__(self, dtype: DTypeLike, layout: Layout = Numbers) -> None:
        self.dtype, self.layout = np.dtype(dtype), layout
        self._flat: dict[str, NDArray[Any]] = {}
        # What was given out last: most windows ask for the same again.
        self._last: dict[str, NDArray[Any]] = {}
        self._operands: dict[str, tuple[tuple[Any, ...], Packed]] = {}
        self._children: dict[str, Workspace] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: DTypeLike | None = None) -> NDArray[Any]:
        """A C-contiguous array of this shape with whatever was in it before; the one of this name given out earlier
        is gone."""
        last = self._last.get(name)
        if last is not None and last.shape == shape:
            return last
        size = math.prod(shape)
        flat = self._flat.get(name)
        if flat is None or flat.size < size:
            flat = self._flat[name] = aligned(size, self.dtype if dtype is None else dtype)
        last = self._last[name] = flat[:size].reshape(shape)
        return last

    def apart(self, name: str, *shape: int) -> NDArray[Any]:
        """Room for matrices that products write; the last axis is longer than asked for. Rows begin with a cache
        line and are an odd number of lines apart: a tile whose rows are 4096 bytes apart takes twice as long, for
        they share a place of the first cache and look to the processor like one that is still being written."""
        numbers = _LINE // self.dtype.itemsize
        *outer, width = shape
        return self.take(name, (*outer, (-(-width // numbers) | 1) * numbers))

    def panels(self, name: str, k: int, n: int, count: int | None = None) -> Packed:
        """Room for a k x n matrix packed as panels, or for several: one a block, or one a thread."""
        return self._operand(name, layouts.panels_shape, (k, n), count)

    def rows(self, name: str, *shape: int) -> Packed:
        """Room for ... x m x k numbers packed by rows."""
        return self._operand(name, layouts.rows_shape, shape)

    def columns(self, name: str, k: int, m: int, count: int | None = None) -> Packed:
        """Room for k x m numbers packed by columns, or for several such operands."""
        return self._operand(name, layouts.columns_shape, (k, m), count)

    def unrounded(self, name: str, *shape: int) -> NDArray[Any]:
        """Room for numbers on their way into an operand; nothing where products read the numbers themselves."""
        return self.take(name, layouts.unrounded_shape(self.layout, *shape))

    def _operand(
        self, name: str, shape_of: Callable[..., tuple[int, ...]], sizes: tuple[int, ...], count: int | None = None
    ) -> Packed:
        asked = (shape_of, sizes, count)
        last = self._operands.get(name)
        if last is not None and last[0] == asked:
            return last[1]
        shape = shape_of(self.layout, *sizes)
        shape = shape if count is None else (count, *shape)
        made = self.layout(self.take(name, shape, layouts.element(self.layout, self.dtype)))
        self._operands[name] = asked, made
        return made

    def part(self, name: str) -> Workspace:
        """A set of its own for one layer."""
        if name not in self._children:
            self._children[name] = Workspace(self.dtype, self.layout)
        return self._children[name]


class Context(NamedTuple):
    """What a layer computes with: a workspace of its own and a number of threads."""

    workspace: Workspace
    threads: int

    def part(self, name: str) -> Context:
        """The same for a part of the layer."""
        return Context(self.workspace.part(name), self.threads)
