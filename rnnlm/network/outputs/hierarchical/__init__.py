"""The hierarchical softmax: a binary decision at each node of a Huffman tree of the tokens."""

from rnnlm.network.outputs.hierarchical.layer import Hierarchical

__all__ = ["Hierarchical"]
