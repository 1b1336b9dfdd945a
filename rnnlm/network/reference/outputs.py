"""log y^ of each output layer by its equations alone, in plain NumPy: no kernel, no block, no thread.

    log_y_hat(p, h, settings) -> ... x |V| from h (... x D_h)

p: the layer's parameters by name, with the embedding table as ``E`` where the weights are tied; settings: the section
`model`. Complex numbers pass through, so that a complex step can differentiate. The equations and where they are from
stand at the top of each file of ``outputs``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.network import Mixture, Model
from rnnlm.network.reference import equations

Array = NDArray[Any]
Layer = dict[str, NDArray[Any]]


def softmax(p: Layer, h: Array, settings: Model) -> Array:
    return equations.log_softmax(equations.z2(h @ p["P"] if "P" in p else h, _U(p), p["b2"]))


def mixture(p: Layer, h: Array, settings: Model) -> Array:
    assert isinstance(settings.output, Mixture)
    count = settings.output.softmaxes
    log_pi = equations.log_softmax(h @ p["W"])
    parts = zip(np.split(p["P"], count, axis=1), np.split(p["c"], count), strict=True)
    log_q = [equations.log_softmax(equations.z2(np.tanh(h @ P + c), _U(p), p["b2"])) for P, c in parts]
    joint = np.stack([log_pi[..., k, None] + log_q[k] for k in range(count)])
    top = joint.real.max(axis=0)
    return np.asarray(top + np.log(np.exp(joint - top).sum(axis=0)))


def _U(p: Layer) -> Array:
    return p["E"].T if "E" in p else p["U"]


LOG_Y_HAT = {"softmax": softmax, "mixture": mixture}
