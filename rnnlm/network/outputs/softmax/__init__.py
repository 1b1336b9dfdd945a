"""The full softmax over the vocabulary."""

from rnnlm.network.outputs.softmax.layer import Softmax

__all__ = ["Softmax"]
