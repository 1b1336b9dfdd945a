"""Log-probabilities of given logits."""

from __future__ import annotations

import numpy as np


def log_softmax(logits: list[float]) -> np.ndarray:
    z = np.array(logits)
    return z - np.log(np.exp(z).sum())
