"""Layouts: how much memory an operand takes, and where everything is in it."""

from __future__ import annotations

import numpy as np
import pytest
from layouts import kinds

from rnnlm.kernels.cpu import ROWS
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul import layout as layouts
from rnnlm.kernels.matmul.layout import (
    BFloat16Pairs,
    BFloat16Tiles,
    BFloat16x3Tiles,
    Layout,
    Numbers,
    padded,
    panel_at,
    panel_width,
)
from rnnlm.kernels.matmul.pack import pack_panels, panel_number, subtract
from rnnlm.kernels.workspace import Workspace

KINDS = kinds()


def test_plain_numbers_are_not_copied_by_rows() -> None:
    workspace = Workspace(np.float32)
    assert workspace.panels("b", 5, 7).array.size >= 5 * 7
    assert workspace.columns("c", 5, 3).array.size >= 5 * 3
    for packed in (workspace.rows("a", 3, 5), workspace.rows("steps", 2, 3, 5)):
        assert packed.array.size == 0
    assert workspace.unrounded("z", 4).size == 0


def test_pairs_take_half_the_depth() -> None:
    assert layouts.rows_shape(BFloat16Pairs, 4, 3, 5) == (4, 3, 3)
    assert layouts.columns_shape(BFloat16Pairs, 5, 3) == (1, 3, ROWS)
    assert layouts.columns_shape(Numbers, 5, ROWS + 1) == (2, 5, ROWS)
    assert layouts.panels_shape(BFloat16Pairs, 6, 7) == (layouts.panels_shape(Numbers, 6, 7)[0] // 2,)
    assert layouts.unrounded_shape(BFloat16Pairs, 4, 3) == (4, 3)


def test_panels_of_tiles_are_as_deep_as_the_next_multiple_of_32_numbers() -> None:
    for k, deep in ((1, 16), (32, 16), (33, 32), (700, 352)):
        assert layouts.panels_shape(BFloat16Tiles, k, 3) == layouts.panels_shape(BFloat16Pairs, 2 * deep, 3)
        assert layouts.panels_shape(BFloat16x3Tiles, k, 3) == layouts.panels_shape(BFloat16Pairs, 6 * deep, 3)


@pytest.mark.parametrize(("layout", "tiles"), [(BFloat16Tiles, 1), (BFloat16x3Tiles, 3)])
def test_rows_of_tiles_are_an_odd_number_of_cache_lines_apart(layout: Layout, tiles: int) -> None:
    for k, lines in ((1, 1), (32, 1), (33, 2), (96, 3), (512, 16), (700, 22)):
        odd = tiles * lines + (tiles * lines + 1) % 2
        assert layouts.rows_shape(layout, 4, 3, k) == (4, 3, 16 * odd)
        assert layouts.columns_shape(layout, k, 3) == (3, 16 * odd)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_results_begin_with_a_cache_line_an_odd_number_apart(dtype: type) -> None:
    numbers = 64 // np.dtype(dtype).itemsize
    for width in (1, numbers, numbers + 1, 650, 1024):
        found = Workspace(dtype).apart("c", 2, 3, width)
        assert found.shape[:2] == (2, 3)
        assert width <= found.shape[2] < width + 2 * numbers
        assert found.ctypes.data % 64 == 0
        assert found.shape[2] % numbers == 0
        assert found.shape[2] // numbers % 2 == 1


@jit
def pack(b, panels):
    pack_panels(b, False, 0, b.shape[1], b.shape[0], panels)


@jit
def unpack(panels, width, first, out):
    """Numbers of B (k x n) from the number `first` of k on."""
    k, n = out.shape
    for column in range(0, n, width):
        own = panel_at(panels, column, k, first)
        wide = padded(own, min(width, n - column))
        for row in range(first, k):
            for j in range(column, min(n, column + width)):
                out[row, j] = panel_number(own, wide, row - first, j - column)


@jit
def take_away(panels, k, row, column, value):
    subtract(panels, column, k, row, value)


# Whole panels: behind a panel of a single vector, places are counted by `wide` alone.
@pytest.mark.parametrize(("dtype", "layout"), KINDS)
@pytest.mark.parametrize("k", [1, 2, 7, 40])
@pytest.mark.parametrize("panels", [1, 3])
def test_every_number_of_a_panel_is_found(dtype: type, layout: Layout, k: int, panels: int) -> None:
    width = panel_width(dtype)
    b = np.arange(k * panels * width, dtype=dtype).reshape(k, -1) % 251  # numbers that bfloat16 has
    packed = Workspace(dtype, layout).panels("b", k, b.shape[1])
    pack(b, packed)
    for first in range(0, k, 32 if layout is BFloat16x3Tiles else 2):
        found = np.full_like(b, -1)
        unpack(packed, width, first, found)
        assert (found[first:] == b[first:]).all()
    for row, column in ((0, 0), (k - 1, b.shape[1] - 1), (k // 2, width - 1)):
        take_away(packed, k, row, column, dtype(3))
        b[row, column] -= 3
    found = np.empty_like(b)
    unpack(packed, width, 0, found)
    assert (found == b).all()
