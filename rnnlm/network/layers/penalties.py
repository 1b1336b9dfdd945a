"""Penalties on the activations of the last layer (Merity, McCann & Socher 2017).

The paper is "Revisiting activation regularization". They are added to each step's J(t), so like it they are averaged
over the streams and summed over the loss steps t alone: each loss is penalised once, however far windows overlap.

    activation   a / D_h |h~(t)|^2                 h~: as the output layer reads it, after dropout
    temporal     b / D_h |h(t) - h(t-1)|^2         h(t-1): what step t began from; 0 over a reset

No gradient goes to the h(t-1) before a window's first step: backpropagation is truncated there.
"""

from __future__ import annotations

import numpy as np

from rnnlm.config.training import Penalties


def value(
    settings: Penalties, h: np.ndarray, dropped: np.ndarray, before: np.ndarray, reset: np.ndarray, loss_steps: int
) -> float:
    """The penalties of a window, summed over the streams and the last `loss_steps` steps.

    h, dropped: T x B x D_h; before: B x D_h, the h before the window; reset: T x B bool.
    """
    found = 0.0
    if settings.activation > 0:
        found += settings.activation * float(np.square(dropped[-loss_steps:], dtype=np.float64).sum())
    if settings.temporal > 0:
        change = _change(h, before, reset, loss_steps)
        found += settings.temporal * float(np.square(change, dtype=np.float64).sum())
    return found / h.shape[2]


def add_to_dropped(settings: Penalties, dropped: np.ndarray, dh: np.ndarray, loss_steps: int, streams: int) -> None:
    """The activation penalty's gradient, added to dJ/dh~. streams: that J is averaged over."""
    if settings.activation > 0:
        factor = dropped.dtype.type(2 * settings.activation / dropped.shape[2] / streams)
        dh[-loss_steps:] += dropped[-loss_steps:] * factor


def add_to_hidden(
    settings: Penalties, h: np.ndarray, before: np.ndarray, reset: np.ndarray, dh: np.ndarray, loss_steps: int,
    streams: int,
) -> None:  # fmt: skip
    """The temporal penalty's gradient, added to dJ/dh. streams: that J is averaged over."""
    if settings.temporal > 0:
        first = len(h) - loss_steps
        change = _change(h, before, reset, loss_steps)
        change *= h.dtype.type(2 * settings.temporal / h.shape[2] / streams)
        dh[first:] += change
        if first > 0:
            dh[first - 1 : -1] -= change
        else:
            dh[:-1] -= change[1:]


def _change(h: np.ndarray, before: np.ndarray, reset: np.ndarray, loss_steps: int) -> np.ndarray:
    """h(t) - h(t-1) at the loss steps, 0 where the state was reset."""
    first = len(h) - loss_steps
    change = h[first:].copy()
    change[1:] -= h[first:-1]
    change[0] -= h[first - 1] if first > 0 else before
    change[reset[first:]] = 0
    return change
