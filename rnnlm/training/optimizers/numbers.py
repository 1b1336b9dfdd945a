"""Constants of an update that the rules read, by name and in the parameters' own type."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnlm.kernels.jit import jit


class Numbers(NamedTuple):
    """What a rule's `step` reads; k: the update's number, from 1."""

    rate: Any  # a, the learning rate
    factor: Any  # what clipping by norm multiplies the gradient by
    decay: Any  # l, the weight decay, where the rule adds l w to g; 0 for biases
    decoupled_decay: Any  # l where the rule takes a l w off the weight, beside the gradient; 0 for biases
    beta1: Any  # b1, of the gradient's running mean; mu of momentum
    one_minus_beta1: Any
    beta2: Any  # b2, of the running mean of its square
    one_minus_beta2: Any
    epsilon: Any
    unbias_m: Any  # 1 / (1 - b1^k)
    unbias_v: Any  # 1 / (1 - b2^k)
    unbias_next: Any  # 1 / (1 - b1^(k+1))

    def array(self, dtype: np.dtype[Any]) -> np.ndarray:
        """As one argument of a kernel, in the parameters' type; see `named`."""
        return np.array(self, dtype)


@jit
def named(numbers):
    """The fields of an array that ``Numbers.array`` made."""
    return Numbers(
        numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8],
        numbers[9], numbers[10], numbers[11],
    )  # fmt: skip
