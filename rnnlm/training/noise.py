"""Gradient noise (Neelakantan et al. 2015).

The paper is "Adding gradient noise improves learning for very deep networks".

    g := g + N(0, eta / (1 + k)^0.55)        k: updates made

on the gradient as it is after clipping, so that noise does not clip the gradient away.
"""

from __future__ import annotations

import numpy as np

from rnnlm.config.schema import Train
from rnnlm.network.parameters import Gradients

_FALL = 0.55


def add(settings: Train, gradients: Gradients, updates: int, factor: float) -> None:
    """Add the noise of the update that follows `updates` updates, in place. It is computed from the seed and
    `updates`, so a checkpoint holds nothing of it.

    Args:
        factor: what clipping multiplies the gradient by afterwards.
    """
    if settings.gradient_noise == 0:
        return
    generator = np.random.default_rng([settings.seed, 4, updates])
    deviation = (settings.gradient_noise / (1 + updates) ** _FALL) ** 0.5 / factor
    for _, array in gradients.arrays():
        noise = generator.standard_normal(array.shape, np.float32 if array.dtype == np.float32 else np.float64)
        noise *= noise.dtype.type(deviation)
        array += noise
