"""Reference of the loss of a window, by the equations alone.

In plain NumPy: no kernel, no block, no thread.

Takes complex parameters too, so that a complex step gives dJ/dx to the last digit:

    dJ/dx = Im J(x + i s) / s        s = 1e-40 (Squire & Trapp 1998)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.network import history
from rnnlm.network.network import Applied, Network, Window
from rnnlm.network.outputs import Softmax
from rnnlm.network.parameters import unflatten
from rnnlm.network.reference import cells as reference_cells
from rnnlm.network.reference import layer_norm
from rnnlm.network.reference import outputs as reference_outputs


def loss(
    network: Network,
    parameters: dict[str, NDArray[Any]],
    window: Window,
    targets: NDArray[np.int32],
    loss_steps: int,
    masks: Applied | None,
    draw: tuple[int, int] | None = None,
) -> Any:
    """J in nats: the sum of J(t) over the last `loss_steps` steps, averaged over the streams.

    Args:
        network: its layers and settings; its parameters are not read.
        parameters: by flat name; float64 or complex128.
        masks: of dropout, from ``Network.masks``.
        draw: (seed, window) of training, with label smoothing, the penalties, and an output layer's own objective.
    """
    tree, train = unflatten(parameters), network.config.train
    up = tree["embedding"]["table"][window.inputs]
    if masks is not None:
        up = up * masks.up[0]
    for layer, cell in enumerate(network.cells):
        p, step = dict(tree["cells"][layer]), reference_cells.STEPS[type(cell)]
        if masks is not None:
            p |= {name: p[name] * mask for name, mask in masks.recurrent[layer].items()}
        initial = 0 if window.initial is None else window.initial[layer]
        state = window.states[layer]
        h = np.zeros((*window.inputs.shape, cell.D_h), np.result_type(up, *p.values()))
        for t in range(len(up)):
            state = step(cell, p, np.where(window.reset[t][:, None], initial, state), up[t])
            h[t] = state[:, : cell.D_h]
        up, norm = h, tree["norms"][layer]
        if norm:
            up = layer_norm.forward(norm, h)
        up = up if masks is None else up * masks.up[layer + 1]
    first = len(up) - loss_steps
    own_parameters = tree["output"] | network.tables
    if network.output.tied:
        own_parameters = own_parameters | {"E": tree["embedding"]["table"]}
    seen = history.rows(window.states[-1], window.inputs, window.reset)[first:] if network.output.history else None
    objective = reference_outputs.OBJECTIVES.get(type(network.output))
    if draw is not None and objective is not None:
        smooth = objective(network.output, own_parameters, up[first:], targets[first:], draw, seen).sum()
    else:
        log_y_hat = reference_outputs.log_y_hat(network.output, own_parameters, up[first:], seen)
        own = np.take_along_axis(log_y_hat, targets[first:, :, None], axis=2)
        if draw is None:
            return -own.sum() / window.inputs.shape[1]
        share = train.penalties.label_smoothing
        smooth = -(1 - share) * own.sum() - share * log_y_hat.mean(axis=2).sum()
        if isinstance(network.output, Softmax):
            log_Z = reference_outputs.log_normalizer(own_parameters, up[first:])
            smooth += network.output.variance_regularization / 2 * ((log_Z - log_Z.mean()) ** 2).sum()
    before = np.concatenate([window.states[len(network.cells) - 1][None, :, : h.shape[2]], h[:-1]])
    change = np.where(window.reset[:, :, None], 0, h - before)[first:]
    penalty = train.penalties.activation * (up[first:] ** 2).sum() + train.penalties.temporal * (change**2).sum()
    return (smooth + penalty / h.shape[2]) / window.inputs.shape[1]
