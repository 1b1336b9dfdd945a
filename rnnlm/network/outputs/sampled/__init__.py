"""The softmax whose training sees the targets and a sample of the other tokens."""

from rnnlm.network.outputs.sampled.layer import Sampled

__all__ = ["Sampled"]
