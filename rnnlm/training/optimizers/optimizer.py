"""The optimizer: one pass over each parameter with the rule of ``train.optimizer``.

Clipping by norm is part of the pass.

The embedding's gradient comes as the rows that the window used, as do those that an output layer calls `sparse`; only
these rows, their moments included, are touched: for momentum and adam a row that is not used stands still instead of
coasting on.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from rnnlm.config.schema import Train
from rnnlm.kernels.cpu import UPDATED_NUMBERS, useful_threads
from rnnlm.kernels.jit import jit
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
    step: Any  # compiled: step(w, g, m, v, n), a block of a parameter


# A rule's place here is its number in `apply`.
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
_CODES = {name: code for code, name in enumerate(RULES)}


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
            f"{moment}.{name}": np.zeros_like(parameter)
            for name, parameter in parameters.items()
            for moment in RULES[settings.optimizer.type].MOMENTS
        }
        self._arrays = {name: self._with_moments(name, parameter) for name, parameter in parameters.items()}
        self._flat = {name: [array.reshape(-1) for array in own] for name, own in self._arrays.items()}

    def update(self, gradients: Gradients, learning_rate: float, factor: float, threads: int) -> None:
        """One update of every parameter that has a gradient; `factor` multiplies the gradient."""
        self.updates += 1
        rule = _CODES[self._options["type"]]
        of_weights, of_biases = (self._numbers(decay, learning_rate, factor) for decay in (True, False))
        for name, gradient in gradients.dense.items():
            w, m, v = self._flat[name]
            numbers = of_weights if gradient.ndim > 1 else of_biases
            _update(_useful(threads, w.size), rule, w, gradient.reshape(-1), m, v, numbers)
        for name, (tokens, gradient) in gradients.rows.items():
            w, m, v = self._arrays[name]
            _update_rows(_useful(threads, gradient.size), rule, w, tokens, gradient, m, v, of_weights)

    def _with_moments(self, name: str, w: Array) -> tuple[Array, Array, Array]:
        """w, m and v of a parameter; an empty array for what the rule does not keep."""
        nothing = np.empty((0,) * w.ndim, w.dtype)
        return w, self.moments.get(f"m.{name}", nothing), self.moments.get(f"v.{name}", nothing)

    def _numbers(self, decays: bool, learning_rate: float, factor: float) -> Array:
        # An option that the rule does not have is not read by its step.
        own, k = self._options, self.updates
        beta1, beta2 = own.get("beta1", 0.0), own.get("beta2", 0.0)
        mean_decay = own.get("momentum", beta1)
        decay = own["weight_decay"] if decays else 0.0
        decoupled = RULES[own["type"]].DECOUPLED_DECAY
        return Numbers(
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
        ).array(self._dtype)


def _useful(threads: int, size: int) -> int:
    """Threads for arrays of this size."""
    return useful_threads(threads, size, UPDATED_NUMBERS)


@parallel
def _update(thread, rule, w, g, m, v, numbers):
    """A whole parameter, all flat."""
    start, stop = partition(thread, w.size, 16)
    apply(rule, w[start:stop], g[start:stop], m[start:stop], v[start:stop], numbers)


@parallel
def _update_rows(thread, rule, w, tokens, g, m, v, numbers):
    """The rows `tokens` (n) of a table w (|V| x d); g: n x d; m, v: |V| x d, or empty."""
    nothing = np.empty(0, w.dtype)
    start, stop = partition(thread, tokens.size, 1)
    for i in range(start, stop):
        token = tokens[i]
        m_row = m[token] if m.size else nothing
        v_row = v[token] if v.size else nothing
        apply(rule, w[token], g[i], m_row, v_row, numbers)


@jit
def apply(rule, w, g, m, v, numbers):
    """The rule with this number in `RULES`, on one-dimensional arrays."""
    n = named(numbers)
    if rule == 0:
        sgd.step(w, g, m, v, n)
    elif rule == 1:
        momentum.step(w, g, m, v, n)
    elif rule == 2:
        adagrad.step(w, g, m, v, n)
    elif rule == 3:
        rmsprop.step(w, g, m, v, n)
    elif rule == 4 or rule == 5:
        adam.step(w, g, m, v, n)
    elif rule == 6:
        nadam.step(w, g, m, v, n)
    else:
        lion.step(w, g, m, v, n)
