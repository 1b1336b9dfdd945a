"""Direct n-gram connections: maximum entropy features beside the scores of an output layer."""

from rnnlm.network.outputs.direct.layer import DirectSoftmax

__all__ = ["DirectSoftmax"]
