"""gemm against NumPy, for every combination of flags, types and strides."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rnnlm.kernels.matmul.blas import gemm

FLAGS = list(itertools.product([False, True], repeat=3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("transpose_a", "transpose_b", "accumulate"), FLAGS)
@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (5, 4, 7), (1, 300, 20), (65, 33, 129)])
def test_products(
    dtype: type, transpose_a: bool, transpose_b: bool, accumulate: bool, m: int, n: int, k: int
) -> None:
    generator = np.random.default_rng(m * n * k)
    a, b, out = (generator.normal(size=shape).astype(dtype) for shape in ((m, k), (k, n), (m, n)))
    wanted = a.astype(np.float64) @ b.astype(np.float64) + (out if accumulate else 0)
    given_a = np.ascontiguousarray(a.T) if transpose_a else a
    given_b = np.ascontiguousarray(b.T) if transpose_b else b
    gemm(given_a, given_b, out, transpose_a, transpose_b, accumulate)
    np.testing.assert_allclose(out, wanted, rtol=0, atol=(1e-5 if dtype == np.float32 else 1e-13) * k)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_may_be_longer_than_what_is_used(dtype: type) -> None:
    generator = np.random.default_rng(0)
    wide_a, wide_b, wide_out = (generator.normal(size=(6, 20)).astype(dtype) for _ in range(3))
    untouched = wide_out.copy()
    a, b, out = wide_a[:, 3:9], wide_b[:, 5:12], wide_out[:, 2:9]
    gemm(a, b, out, False, False, False)
    np.testing.assert_allclose(out, a @ b, atol=1e-4)
    assert (wide_out[:, :2] == untouched[:, :2]).all()
    assert (wide_out[:, 9:] == untouched[:, 9:]).all()


def test_nothing_to_do() -> None:
    empty = np.zeros((0, 4), np.float32)
    gemm(empty, np.ones((4, 3), np.float32), np.zeros((0, 3), np.float32), False, False, True)
    out = np.ones((2, 3), np.float32)
    gemm(np.zeros((2, 0), np.float32), np.zeros((0, 3), np.float32), out, False, False, False)
    assert (out == 0).all()
