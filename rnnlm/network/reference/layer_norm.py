"""Reference of layer normalisation, forward and backward, by the equations alone.

They stand at the top of ``layers.layer_norm``. In plain NumPy: no kernel, no block, no thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.network.layers.layer_norm import EPSILON

Array = NDArray[Any]
Arrays = dict[str, NDArray[Any]]


def normal(h: Array) -> tuple[Array, Array]:
    """x and s of rows of h: ... x D_h and ... x 1."""
    centred = h - h.mean(axis=-1, keepdims=True)
    s = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
    return centred / s, s


def forward(p: Arrays, h: Array) -> Array:
    """h^ = g o x + b."""
    return np.asarray(p["g"] * normal(h)[0] + p["b"])


def backward(p: Arrays, h: Array, d_up: Array) -> Array:
    """dJ/dh, N x D_h, from dJ/dh^ (N x D_h) of N losses and the row h (1 x D_h) that they share."""
    x, s = normal(h)
    dx = d_up * p["g"]
    return np.asarray((dx - dx.mean(axis=1, keepdims=True) - x * (dx * x).mean(axis=1, keepdims=True)) / s)
