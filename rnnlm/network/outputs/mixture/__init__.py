"""A mixture of softmaxes over the vocabulary."""

from rnnlm.network.outputs.mixture.layer import Mixture

__all__ = ["Mixture"]
