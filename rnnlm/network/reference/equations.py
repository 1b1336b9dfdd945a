"""Equations of the Elman network, a function each: what docs/derivation.md derives.

In plain NumPy.

Row vectors. Where a function says "1 x n" it also takes rows below one another, N x n, and does each of them.
Everything but `J` and what is written with h alone passes complex numbers through, so that a complex step
(Squire & Trapp 1998) can differentiate it to the last digit.

Nothing here is shared with the compiled kernels that train: the two are held against each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


# -- forward
# -----------------------------------------------------------------------------------------------------------------


def z1(h_before: Array, e: Array, I: Array, H: Array, b1: Array) -> Array:
    """z1(t) = h(t-1) H + e(t) I + b1        1 x D_h = (1 x D_h)(D_h x D_h) + (1 x d)(d x D_h) + 1 x D_h"""
    return h_before @ H + e @ I + b1


def f(z1: Array, activation: str) -> Array:
    """h(t) = f(z1(t)), elementwise: sigmoid 1 / (1 + e^-z), tanh, relu max(z, 0)."""
    if activation == "sigmoid":
        # The same function as 1 / (1 + e^-z), without the overflow.
        return (1 + np.tanh(z1 / 2)) / 2
    if activation == "tanh":
        return np.asarray(np.tanh(z1))
    return np.where(z1.real > 0, z1, 0)


def z2(h: Array, U: Array, b2: Array) -> Array:
    """z2(t) = h(t) U + b2                   1 x |V| = (1 x D_h)(D_h x |V|) + 1 x |V|"""
    return h @ U + b2


def log_softmax(z2: Array) -> Array:
    """log y^_j = z2_j - log sum_i e^z2_i, with the largest z2 taken off first, so that no e^z2 is too large."""
    below = z2 - z2.real.max(axis=-1, keepdims=True)
    return np.asarray(below - np.log(np.exp(below).sum(axis=-1, keepdims=True)))


def softmax(z2: Array) -> Array:
    """y^(t) = softmax(z2(t)): y^_j = e^z2_j / sum_i e^z2_i."""
    return np.asarray(np.exp(log_softmax(z2)))


def J(y_hat: Array, y: Array) -> float:
    """J(t) = - sum_j y_j(t) log y^_j(t); y has its single 1 at the token that came, so J is its surprisal in nats.

    Rows are summed.
    """
    return float(-np.log(y_hat[y > 0]).sum())


def J_of_z2(z2: Array, y: Array) -> Any:
    """J(t) from z2(t): a y^ below 1e-308 is 0 in float64, and has a logarithm all the same."""
    return -log_softmax(z2)[y > 0].sum()


# -- backward
# -----------------------------------------------------------------------------------------------------------------


def delta2(y_hat: Array, y: Array) -> Array:
    """dJ(t)/dz2(t) = y^(t) - y(t)           1 x |V|: softmax and the loss together, see docs/derivation.md"""
    return np.asarray(y_hat - y)


def dJ_dh_from_output(delta2: Array, U: Array) -> Array:
    """dJ(t)/dh(t) = delta2(t) U'            1 x D_h = (1 x |V|)(|V| x D_h); undoes z2 = h U + b2"""
    return np.asarray(delta2 @ U.T)


def f_prime(h: Array, activation: str) -> Array:
    """f'(z1), written with h = f(z1): sigmoid h o (1 - h), tanh 1 - h o h, relu 1 where h > 0."""
    if activation == "sigmoid":
        return np.asarray(h * (1 - h))
    if activation == "tanh":
        return np.asarray(1 - h * h)
    return (h > 0).astype(h.dtype)


def delta1(dJ_dh: Array, h: Array, activation: str) -> Array:
    """delta1(t) = dJ/dz1(t) = dJ/dh(t) o f'(z1(t))        1 x D_h; undoes h = f(z1)"""
    return np.asarray(dJ_dh * f_prime(h, activation))


def dJ_dh_from_later(delta1_later: Array, H: Array) -> Array:
    """What step t+1 sends back to dJ/dh(t): delta1(t+1) H'        1 x D_h = (1 x D_h)(D_h x D_h)"""
    return np.asarray(delta1_later @ H.T)


def dJ_de(delta1: Array, I: Array) -> Array:
    """dJ/de(t) = delta1(t) I'               1 x d = (1 x D_h)(D_h x d)"""
    return np.asarray(delta1 @ I.T)


def dJ_dweights(left: Array, delta: Array) -> Array:
    """left' delta: the gradient of W in z = left W, of left's size x delta's size.

    With h(t) and delta2(t) it is dJ(t)/dU, with h(t-1) and delta1(t) dJ/dH, with e(t) and delta1(t) dJ/dI. Rows below
    one another are steps of time (or streams), and the product sums over them: one shared weight, one sum.
    """
    return np.asarray(np.atleast_2d(left).T @ np.atleast_2d(delta))


def dh_dh_before(H: Array, h: Array, activation: str) -> Array:
    """dh(t)/dh(t-1) = H diag(f'(z1(t)))     D_h x D_h: row i says what h_i(t-1) does to h(t)"""
    return np.asarray(H * f_prime(h, activation))
