"""The loss of a window by the equations alone, in plain NumPy: no kernel, no block, no thread.

Takes complex parameters too, so that a complex step gives dJ/dx to the last digit:

    dJ/dx = Im J(x + i s) / s        s = 1e-40 (Squire & Trapp 1998)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.schema import Config
from rnnlm.gradients.window import Window
from rnnlm.network.layers.layer_norm import EPSILON
from rnnlm.network.network import TABLE, Applied, of, of_output
from rnnlm.network.reference import cells as plain_cells
from rnnlm.network.reference import outputs as plain_outputs

Parameters = dict[str, NDArray[Any]]


def loss(
    parameters: Parameters, window: Window, config: Config, masks: Applied | None, penalise: bool = False
) -> Any:
    """J in nats: the sum of J(t) over the last ``window.loss_steps`` steps, averaged over the streams.

    Args:
        parameters: by name; float64 or complex128.
        config: sections model and train.
        penalise: with label smoothing and the penalties, as in training.
        masks: of dropout, from ``Network.masks``.
    """
    up = parameters[TABLE][window.inputs]
    if masks is not None:
        up = up * masks.up[0]
    settings, train = config.model, config.train
    step = plain_cells.STEPS[settings.cell.type]
    for layer, (state, hidden) in enumerate(zip(window.states, settings.sizes, strict=True)):
        p = of(parameters, f"cell.{layer}")
        if masks is not None and "H" in p:
            p["H"] = p["H"] * masks.weights[layer]
        h = np.zeros((*window.inputs.shape, hidden), np.result_type(up, *p.values()))
        for t in range(len(up)):
            state = step(p, np.where(window.reset[t][:, None], 0, state), up[t], settings)
            h[t] = state[:, :hidden]
        up = h
        if settings.layer_norm:
            centred = h - h.mean(axis=2, keepdims=True)
            deviation = np.sqrt((centred**2).mean(axis=2, keepdims=True) + EPSILON)
            norm = of(parameters, f"norm.{layer}")
            up = norm["g"] * centred / deviation + norm["b"]
        up = up if masks is None else up * masks.up[layer + 1]
    first = len(up) - window.loss_steps
    log_y_hat = plain_outputs.LOG_Y_HAT[settings.output.type](of_output(config, parameters), up[first:], settings)
    own = np.take_along_axis(log_y_hat, window.targets[first:, :, None], axis=2)
    if not penalise:
        return -own.sum() / window.inputs.shape[1]
    share = train.penalties.label_smoothing
    smooth = -(1 - share) * own.sum() - share * log_y_hat.mean(axis=2).sum()
    change = np.where(window.reset[1:, :, None], 0, h[1:] - h[:-1])
    penalty = train.penalties.activation * (up**2).sum() + train.penalties.temporal * (change**2).sum()
    return (smooth + penalty / h.shape[2]) / window.inputs.shape[1]
