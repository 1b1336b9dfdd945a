"""Activation functions of gates and states, elementwise, for kernels.

    sigmoid(x) = 1 / (1 + exp(-x))
    tanh(x)    = 1 - 2 / (1 + exp(2 x)), and near 0, where that would cancel, x + x^3 p(x^2) (Cephes' tanhf)

In float32 they stand on the polynomial of ``elementwise.exp``; in float64 on the C library.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from rnnlm.kernels.elementwise.exp import exp32

_F = np.float32


@register_jitable
def _tanh32(x):
    """tanh of a float32 scalar."""
    one, two = _F(1.0), _F(2.0)
    s = x * x
    p = _F(-5.70498872745e-3)
    p = p * s + _F(2.06390887954e-2)
    p = p * s + _F(-5.37397155531e-2)
    p = p * s + _F(1.33314422036e-1)
    p = p * s + _F(-3.33332819422e-1)
    near = p * s * x + x
    far = one - two / (one + exp32(two * x))
    return near if abs(x) < _F(0.625) else far


def sigmoid(x):
    """1 / (1 + e^-x) of a scalar, float32 or float64."""
    raise NotImplementedError("for kernels only")


def tanh(x):
    """The hyperbolic tangent of a scalar, float32 or float64."""
    raise NotImplementedError("for kernels only")


@overload(sigmoid, inline="always")
def _sigmoid(x):
    if x == types.float32:
        return lambda x: _F(1.0) / (_F(1.0) + exp32(-x))
    return lambda x: 1.0 / (1.0 + math.exp(-x))


@overload(tanh, inline="always")
def _tanh(x):
    if x == types.float32:
        return lambda x: _tanh32(x)
    return lambda x: math.tanh(x)
