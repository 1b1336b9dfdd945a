"""The adaptive softmax: clusters of tokens by frequency, with smaller matrices for rare ones."""

from rnnlm.network.outputs.adaptive.layer import Adaptive

__all__ = ["Adaptive"]
