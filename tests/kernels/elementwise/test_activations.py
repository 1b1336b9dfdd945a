"""exp, sigmoid, tanh: against NumPy in float64, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest

from rnnlm.kernels.elementwise import activations
from rnnlm.kernels.elementwise.exp import exp
from rnnlm.kernels.jit import jit


@jit
def apply_exp(x, out):
    for i in range(x.size):
        out[i] = exp(x[i])


@jit
def apply_sigmoid(x, out):
    for i in range(x.size):
        out[i] = activations.sigmoid(x[i])


@jit
def apply_tanh(x, out):
    for i in range(x.size):
        out[i] = activations.tanh(x[i])


FUNCTIONS = {
    "exp": (apply_exp, np.exp),
    "sigmoid": (apply_sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "tanh": (apply_tanh, np.tanh),
}


def values(dtype: type) -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.concatenate(
        [np.linspace(-87, 87, 100_001), generator.normal(0, 1, 10_000), generator.normal(0, 1e-3, 1000), [0.0, 0.625]]
    ).astype(dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-7), (np.float64, 1e-15)])
def test_relative_error(name: str, dtype: type, tolerance: float) -> None:
    kernel, exact = FUNCTIONS[name]
    x = values(dtype)
    out = np.empty_like(x)
    kernel(x, out)
    wanted = exact(x.astype(np.float64))
    normal = np.abs(wanted) > 1.2e-38  # below that a float32 has fewer digits
    np.testing.assert_allclose(out[normal], wanted[normal], rtol=tolerance)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_edges(name: str, dtype: type) -> None:
    kernel, _ = FUNCTIONS[name]
    x = np.array([np.nan, -np.inf, -1000, 1000], dtype)
    out = np.empty_like(x)
    kernel(x, out)
    assert np.isnan(out[0]), "a NaN must not be lost: training looks for it"
    low = {"exp": 0, "sigmoid": 0, "tanh": -1}[name]
    np.testing.assert_allclose(out[1:3], low, atol=2e-38)
    if name == "exp":
        assert out[3] > 1e38
    else:
        assert out[3] == 1


@pytest.mark.parametrize("kernel", [apply_exp, apply_sigmoid, apply_tanh], ids=["exp", "sigmoid", "tanh"])
def test_float32_kernels_stay_in_float32(kernel: object) -> None:
    """A literal 1.0 turns a float32 into a float64 in Numba, and halves the speed; it would show as `double`."""
    import numba
    from numba import float32

    from rnnlm.kernels.jit import FASTMATH

    fresh = numba.njit(fastmath=FASTMATH)(kernel.py_func)  # type: ignore[attr-defined]
    signature = (float32[::1], float32[::1])
    fresh.compile(signature)
    assert "double" not in fresh.inspect_llvm(signature)
