"""Penalties on the activations of the last layer (Merity, McCann & Socher 2017).

The paper is "Revisiting activation regularization". The penalties are averaged over the D_h units and over
the streams, and summed over the steps:

    activation   a / D_h |h~(t)|^2                 h~: as the output layer reads it, after dropout
    temporal     b / D_h |h(t) - h(t-1)|^2         h(t-1): of the step before in the window; not over a reset
"""

from __future__ import annotations

import numpy as np

from rnnlm.config.training import Penalties


def value(settings: Penalties, h: np.ndarray, dropped: np.ndarray, reset: np.ndarray) -> float:
    """The penalties of a window, summed over the streams. h, dropped: T x B x D_h; reset: T x B bool."""
    found = 0.0
    if settings.activation > 0:
        found += settings.activation * float(np.square(dropped, dtype=np.float64).sum())
    if settings.temporal > 0:
        found += settings.temporal * float(np.square(_change(h, reset), dtype=np.float64).sum())
    return found / h.shape[2]


def add_to_dropped(settings: Penalties, dropped: np.ndarray, dh: np.ndarray) -> None:
    """The activation penalty's gradient, added to dJ/dh~."""
    if settings.activation > 0:
        dh += dropped * dropped.dtype.type(2 * settings.activation / dropped.shape[2] / dropped.shape[1])


def add_to_hidden(settings: Penalties, h: np.ndarray, reset: np.ndarray, dh: np.ndarray) -> None:
    """The temporal penalty's gradient, added to dJ/dh."""
    if settings.temporal > 0:
        change = _change(h, reset)
        change *= h.dtype.type(2 * settings.temporal / h.shape[2] / h.shape[1])
        dh[1:] += change
        dh[:-1] -= change


def _change(h: np.ndarray, reset: np.ndarray) -> np.ndarray:
    """h(t) - h(t-1) from the second step on, 0 where the state was reset."""
    change = h[1:] - h[:-1]
    change[reset[1:]] = 0
    return change
