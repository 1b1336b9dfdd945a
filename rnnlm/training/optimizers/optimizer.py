"""The optimizer: one pass over each parameter with the rule of ``train.optimizer``.

Clipping by norm is part of the pass.

The embedding's gradient comes as the rows that the window used, as do those that an output layer calls `sparse`; only
these rows, their moments included, are touched: for momentum and adam a row that is not used stands still instead of
coasting on.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numba.extending import overload

from rnnlm.config.schema import Train
from rnnlm.kernels.cpu import UPDATED_NUMBERS, useful_threads
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.parameters import Gradients
from rnnlm.network.protocols import Array
from rnnlm.training.freezing import trained
from rnnlm.training.optimizers import adagrad, adam, adamw, lion, momentum, nadam, rmsprop, sgd
from rnnlm.training.optimizers.numbers import Numbers, named


class Rule(Protocol):
    """What the module of an update rule has."""

    MOMENTS: tuple[str, ...]  # m, a running mean of the gradient; v, a sum or running mean of its squares
    DECOUPLED_DECAY: bool  # whether the weight decay stands beside the gradient instead of in it
    CONSTANTS: type[Any]  # a named tuple of ``Numbers.array`` by which kernels know the rule
    step: Any  # compiled: step(w, g, m, v, n), a block of a parameter


RULES: dict[str, Rule] = {
    "sgd": sgd,
    "momentum": momentum,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
    "nadam": nadam,
    "lion": lion,
}
_STEPS = {rule.CONSTANTS: rule.step for rule in RULES.values()}


class Optimizer:
    """An update rule with its moments.

    Args:
        settings: the section `train`.
        parameters: by flat names; those that are not frozen are updated in place.

    Attributes:
        parameters: those that are not frozen.
        moments: by the moment's name and the parameter's, ``m.cell.0.H``; updated in place.
        updates: made so far.
    """

    def __init__(self, settings: Train, parameters: dict[str, Array]) -> None:
        self.settings, self.parameters = settings, (parameters := trained(settings, parameters))
        self._options = settings.optimizer.model_dump()
        self._dtype = next(iter(parameters.values())).dtype
        self.updates = 0
        self.moments = {
            f"{moment}.{name}": np.zeros(parameter.shape, parameter.dtype)
            for name, parameter in parameters.items()
            for moment in RULES[settings.optimizer.type].MOMENTS
        }
        self._arrays = {name: self._with_moments(name, parameter) for name, parameter in parameters.items()}
        self._flat = {name: [array.reshape(-1) for array in own] for name, own in self._arrays.items()}

    def update(self, gradients: Gradients, learning_rate: float, factor: float, threads: int) -> None:
        """One update of every parameter that has a gradient; `factor` multiplies the gradient."""
        self.updates += 1
        of_weights, of_biases = (self._numbers(decay, learning_rate, factor) for decay in (True, False))
        for name, gradient in gradients.dense.items():
            w, m, v = self._flat[name]
            numbers = of_weights if gradient.ndim > 1 else of_biases
            _update(_useful(threads, w.size), numbers, w, gradient.reshape(-1), m, v)
        for name, (tokens, gradient) in gradients.rows.items():
            w, m, v = self._arrays[name]
            _update_rows(_useful(threads, gradient.size), of_weights, w, tokens, gradient, m, v)

    def _with_moments(self, name: str, w: Array) -> tuple[Array, Array, Array]:
        """w, m and v of a parameter; an empty array for what the rule does not keep."""
        nothing = np.empty((0,) * w.ndim, w.dtype)
        return w, self.moments.get(f"m.{name}", nothing), self.moments.get(f"v.{name}", nothing)

    def _numbers(self, decays: bool, learning_rate: float, factor: float) -> Any:
        # An option that the rule does not have is not read by its step.
        own, k = self._options, self.updates
        beta1, beta2 = own.get("beta1", 0.0), own.get("beta2", 0.0)
        mean_decay = own.get("momentum", beta1)
        decay = own["weight_decay"] if decays else 0.0
        rule = RULES[own["type"]]
        decoupled = rule.DECOUPLED_DECAY
        numbers = Numbers(
            rate=learning_rate,
            factor=factor,
            decay=0.0 if decoupled else decay,
            decoupled_decay=decay if decoupled else 0.0,
            beta1=mean_decay,
            one_minus_beta1=1 - mean_decay,
            beta2=beta2,
            one_minus_beta2=1 - beta2,
            epsilon=own.get("epsilon", 0.0),
            unbias_m=1 / (1 - beta1**k),
            unbias_v=1 / (1 - beta2**k),
            unbias_next=1 / (1 - beta1 ** (k + 1)),
        )
        return rule.CONSTANTS(numbers.array(self._dtype))


def _useful(threads: int, size: int) -> int:
    """Threads for arrays of this size."""
    return useful_threads(threads, size, UPDATED_NUMBERS)


@parallel
def _update(thread, constants, w, g, m, v):
    """A whole parameter, all flat."""
    start, stop = partition(thread, w.size, 16)
    step(constants, w[start:stop], g[start:stop], m[start:stop], v[start:stop])


@parallel
def _update_rows(thread, constants, w, tokens, g, m, v):
    """The rows `tokens` (n) of a table w (|V| x d); g: n x d; m, v: |V| x d, or empty."""
    start, stop = partition(thread, tokens.size, 1)
    for i in range(start, stop):
        row = w[tokens[i]]
        # A moment that the rule does not keep is not looked at: the row stands for it.
        step(constants, row, g[i], m[tokens[i]] if m.size else row, v[tokens[i]] if v.size else row)


def step(constants: Any, w: Array, g: Array, m: Array, v: Array) -> None:
    """A rule's step on a block of a parameter, all one-dimensional."""
    raise NotImplementedError("for kernels only")


@overload(step)
def _step_impl(constants, w, g, m, v):
    of_rule = _STEPS[constants.instance_class]

    def impl(constants, w, g, m, v):
        of_rule(w, g, m, v, named(constants.numbers))

    return impl
