"""The class-based softmax: a softmax over classes of tokens, and one over the tokens of a class."""

from rnnlm.network.outputs.classes.layer import Classes

__all__ = ["Classes"]
