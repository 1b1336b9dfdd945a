"""log y^ of each output layer by its equations alone, in plain NumPy: no kernel, no block, no thread.

    log_y_hat(p, h, settings) -> ... x |V| from h (... x D_h)

p: the layer's parameters by name, with the embedding table as ``E`` where the weights are tied; settings: the section
`model`. Complex numbers pass through, so that a complex step can differentiate. The equations and where they are from
stand at the top of each file of ``outputs``.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from rnnlm.config import Model
from rnnlm.gradients import equations

Array = NDArray[Any]
Layer = dict[str, NDArray[Any]]


def softmax(p: Layer, h: Array, settings: Model) -> Array:
    return equations.log_softmax(equations.z2(h @ p["P"] if "P" in p else h, _U(p), p["b2"]))


def _U(p: Layer) -> Array:
    return p["E"].T if "E" in p else p["U"]


LOG_Y_HAT = {"softmax": softmax}
