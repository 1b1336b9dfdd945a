"""Packed products against NumPy: every type of number, both forms of A, shapes around the sizes of tiles and
vectors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from layouts import ROUNDED, kinds

from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import columns_times_panel, multiply_columns, multiply_rows, stream_columns_times_panel
from rnnlm.kernels.matmul.layout import BFloat16x3Tiles, Layout, Numbers, depth, operand, padded
from rnnlm.kernels.matmul.pack import fill_columns, fill_rows, pack_panels
from rnnlm.kernels.workspace import Workspace

KINDS = kinds()
SIZES = [1, 2, 3, 5, 7, 11, 12, 13, 15, 16, 17, 31, 32, 33, 48, 65]


def rounded(x: np.ndarray) -> np.ndarray:
    """float32 to bfloat16 and back, to the nearest, ties to even."""
    bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return bits.astype(np.uint32).view(np.float32)


@jit
def by_rows(a, pairs, b, transposed, panels, c, add):
    k = a.shape[1]
    fill_rows(a, 0, k, pairs)
    pack_panels(b, transposed, 0, c.shape[1], k, panels)
    multiply_rows(operand(a, pairs), depth(panels, k), panels, 0, c.shape[1], c, add)


@jit
def by_columns(a, pairs, b, transposed, panels, c, add):
    k = a.shape[0]
    fill_columns(a, pairs)
    pack_panels(b, transposed, 0, c.shape[1], k, panels)
    multiply_columns(pairs, depth(panels, k), panels, 0, c.shape[1], c, add)


depth_of = jit(lambda panels, k: depth(panels, k))


def check(dtype: type, layout: Layout, m: int, n: int, k: int, columns: bool, transposed: bool, add: bool) -> None:
    generator = np.random.default_rng(m * 10000 + n * 100 + k)
    workspace = Workspace(dtype, layout)
    a = generator.normal(size=(k, m) if columns else (m, k)).astype(dtype)
    b = generator.normal(size=(n, k) if transposed else (k, n)).astype(dtype)
    frame = generator.normal(size=(m, n + 3)).astype(dtype)
    before = frame.copy()
    pairs = workspace.columns("a", k, m) if columns else workspace.rows("a", m, k)
    panels = workspace.panels("b", k, n)
    (by_columns if columns else by_rows)(a, pairs, b, transposed, panels, frame[:, :n], add)
    op_a, op_b = (x if layout in (Numbers, BFloat16x3Tiles) else rounded(x) for x in (a, b))
    wanted = (op_a.T if columns else op_a).astype(np.float64) @ (op_b.T if transposed else op_b).astype(np.float64)
    wanted += before[:, :n] if add else 0
    bound = 1e-14 if dtype == np.float64 else 2e-5 if layout is BFloat16x3Tiles else 2e-6
    np.testing.assert_allclose(frame[:, :n], wanted, rtol=0, atol=bound * (k + 4))
    assert (frame[:, n:] == before[:, n:]).all(), "written beyond the last column"


@pytest.mark.parametrize(("dtype", "layout"), KINDS)
@pytest.mark.parametrize("columns", [False, True], ids=["rows", "columns"])
def test_shapes_around_tiles_and_vectors(dtype: type, layout: Layout, columns: bool) -> None:
    for m, n in itertools.product(SIZES, SIZES):
        check(dtype, layout, m, n, 9, columns, False, False)


@pytest.mark.parametrize(("dtype", "layout"), KINDS)
@pytest.mark.parametrize("columns", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("add", [False, True])
def test_long_sums(dtype: type, layout: Layout, columns: bool, transposed: bool, add: bool) -> None:
    for k in (1, 2, 8, 16, 31, 32, 33, 63, 64, 255, 256, 257, 700):
        check(dtype, layout, 19, 37, k, columns, transposed, add)
        check(dtype, layout, 8, 9, k, columns, transposed, add)
    check(dtype, layout, 75, 70, 96, columns, transposed, add)


@jit
def panel_past_caches(a, pairs, b, panels, c, stream):
    k = a.shape[0]
    fill_columns(a, pairs)
    pack_panels(b, False, 0, c.shape[1], k, panels)
    deep, wide = depth(panels, k), padded(panels, c.shape[1])
    if stream:
        stream_columns_times_panel(pairs, deep, panels, wide, c.shape[1], c)
    else:
        columns_times_panel(pairs, deep, panels, wide, c.shape[1], c, False)


@pytest.mark.parametrize("layout", ROUNDED)
@pytest.mark.parametrize("row", [64, 52, 53], ids=["lines", "quarters of lines", "no places"])
@pytest.mark.parametrize("first", [0, 4, 3])
def test_a_product_past_the_caches_is_the_same(layout: Layout, row: int, first: int) -> None:
    """C with rows that begin with a cache line, with 16 bytes, or anywhere."""
    generator = np.random.default_rng(row)
    for m, n, k in ((1, 1, 3), (31, 32, 40), (64, 32, 700), (70, 31, 33), (33, 16, 64)):
        workspace = Workspace(np.float32, layout)
        a, b = (generator.normal(size=(k, size)).astype(np.float32) for size in (m, n))
        operands = a, workspace.columns("a", k, m), b, workspace.panels("b", k, n)
        frames = [workspace.take(name, (m * row + 64,)) for name in ("streamed", "wanted")]
        for frame, stream in zip(frames, (True, False), strict=True):
            frame[:] = 7
            panel_past_caches(*operands, frame[first : first + m * row].reshape(m, row)[:, :n], stream)
        np.testing.assert_array_equal(frames[0], frames[1])


@pytest.mark.parametrize("layout", ROUNDED)
def test_numbers_that_are_not_finite_stay_so(layout: Layout) -> None:
    workspace = Workspace(np.float32, layout)
    a = np.ones((3, 34), np.float32)
    a[0, 5], a[1, 33], a[2, 0] = np.nan, np.inf, -np.inf
    c = np.zeros((3, 20), np.float32)
    by_rows(
        a, workspace.rows("a", 3, 34), np.ones((34, 20), np.float32), False, workspace.panels("b", 34, 20), c, False
    )
    assert np.isnan(c[0]).all()
    if layout is BFloat16x3Tiles:  # infinity times the lo of 1, which is 0
        assert not np.isfinite(c).any()
        return
    assert (c[1] == np.inf).all()
    assert (c[2] == -np.inf).all()


@pytest.mark.parametrize(("dtype", "layout"), KINDS)
def test_a_panel_may_be_deeper_than_the_matrix(dtype: type, layout: Layout) -> None:
    """Zeros follow, so that a sum may run on over what is no part of it."""
    workspace = Workspace(dtype, layout)
    b = np.ones((5, 7), dtype)
    panels = workspace.panels("b", 12, 7)
    panels.array[:] = 12345
    pack = jit(lambda b, panels, transposed: pack_panels(b, transposed, 0, 7, 12, panels))
    pack(b, panels, False)
    used = panels.array[: depth_of(panels, 12) * (8 if dtype == np.float64 else 16)]
    in_a_column = {Numbers: 5, BFloat16x3Tiles: 6}.get(layout, 3)  # hi stands there twice, and lo is 0
    assert np.count_nonzero(used) == in_a_column * 7
