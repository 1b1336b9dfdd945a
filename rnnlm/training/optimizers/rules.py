"""Optimizers: one pass over each parameter, clipping included.

With g the gradient after clipping, w the weight, a the learning rate, l the weight decay (0 for biases):

    sgd        w -= a (g + l w)
    momentum   m = mu m + (g + l w);   w -= a m                                           (Polyak 1964)
    adagrad    v += g o g;             w -= a g / (sqrt(v) + eps)                         (Duchi et al. 2011)
    adam       m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g o g                          (Kingma & Ba 2015, alg. 1)
               w -= a (m / (1 - b1^k)) / (sqrt(v / (1 - b2^k)) + eps)       k: the update's number, from 1
    rmsprop    v = b2 v + (1 - b2) g o g; w -= a g / (sqrt(v) + eps)               (Tieleman & Hinton 2012)
    nadam      adam with b1 m / (1 - b1^(k+1)) + (1 - b1) g / (1 - b1^k) for m / (1 - b1^k)      (Dozat 2016)
    lion       w -= a (sign(b1 m + (1 - b1) g) + l w);   m = b2 m + (1 - b2) g       (Chen et al. 2023)
    adamw      adam without l in g;    w -= a l w beside it                               (Loshchilov & Hutter 2019)

(adagrad, rmsprop, adam and nadam add l w to g first.) The embedding's gradient comes as the rows that the window
used; only these rows, their moments included, are touched: for momentum and adam a row that is not used stands still
instead of coasting on.

Clipping, in this order: every number to +-clip_value, then the whole gradient, all parameters together, to the norm
`clip` (Pascanu et al. 2013, algorithm 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnlm.config.schema import Train
from rnnlm.kernels.cpu import UPDATED_NUMBERS, useful_threads
from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel

RULES = {"sgd": 0, "momentum": 1, "adagrad": 2, "adam": 3, "adamw": 4, "rmsprop": 5, "nadam": 6, "lion": 7}
# Which moments a rule keeps: m, a running mean of the gradient; v, a sum or mean of its squares.
MOMENTS = {
    "sgd": (),
    "momentum": ("m",),
    "adagrad": ("v",),
    "adam": ("m", "v"),
    "adamw": ("m", "v"),
    "rmsprop": ("v",),
    "nadam": ("m", "v"),
    "lion": ("m",),
}


@dataclass
class Gradients:
    """dJ/d(parameter): `dense` by name; `rows` for a table of which only the rows `tokens` have a gradient."""

    dense: dict[str, np.ndarray] = field(default_factory=dict)
    rows: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # name: (tokens, gradient of each)

    def arrays(self) -> list[tuple[str, np.ndarray]]:
        return [*self.dense.items(), *((name, rows) for name, (_, rows) in self.rows.items())]


class Optimizer:
    """The update rule of ``train.optimizer`` with its moments.

    Args:
        settings: the section `train`.
        parameters: by name; updated in place.
    """

    def __init__(self, settings: Train, parameters: dict[str, np.ndarray]) -> None:
        self.settings = settings
        self.parameters = parameters
        self.updates = 0
        self.moments = {
            f"{moment}.{name}": np.zeros_like(parameter)
            for name, parameter in parameters.items()
            for moment in MOMENTS[settings.optimizer]
        }

    def clip(self, gradients: Gradients, threads: int) -> tuple[float, float]:
        """Clips by value in place; returns the gradient's norm and the factor that clips by norm, applied in
        `update`."""
        limit = self.settings.clip_value
        squares = 0.0
        for _, array in gradients.arrays():
            flat = array.reshape(array.size)
            parts = np.zeros(threads)
            _clip_and_square(_useful(threads, flat.size), flat, flat.dtype.type(limit or 0), limit is not None, parts)
            squares += float(parts.sum())
        norm = math.sqrt(squares) if squares >= 0 else math.nan
        clip = self.settings.clip
        return norm, clip / norm if clip is not None and norm > clip else 1.0

    def update(self, gradients: Gradients, learning_rate: float, factor: float, threads: int) -> None:
        """One update of every parameter that has a gradient; `factor` multiplies the gradient."""
        self.updates += 1
        rule = RULES[self.settings.optimizer]
        for name, gradient in gradients.dense.items():
            w, m, v, numbers = self._operands(name, learning_rate, factor)
            flat = (array.reshape(-1) for array in (w, gradient, m, v))
            _update(_useful(threads, w.size), rule, *flat, numbers)
        for name, (tokens, gradient) in gradients.rows.items():
            w, m, v, numbers = self._operands(name, learning_rate, factor)
            _update_rows(_useful(threads, gradient.size), rule, w, tokens, gradient, m, v, numbers)

    def _operands(self, name: str, learning_rate: float, factor: float) -> tuple[Any, Any, Any, Any]:
        s = self.settings
        w = self.parameters[name]
        nothing = np.empty((0,) * w.ndim, w.dtype)
        m, v = (self.moments.get(f"{moment}.{name}", nothing) for moment in ("m", "v"))
        mean_decay = s.momentum if s.optimizer == "momentum" else s.beta1
        numbers = np.array(
            [
                learning_rate,
                factor,
                s.weight_decay if w.ndim > 1 else 0.0,
                mean_decay,
                1 - mean_decay,
                s.beta2,
                1 - s.beta2,
                s.epsilon,
                1 / (1 - s.beta1**self.updates),
                1 / (1 - s.beta2**self.updates),
                1 / (1 - s.beta1 ** (self.updates + 1)),
            ],
            w.dtype,
        )
        return w, m, v, numbers


def _useful(threads: int, size: int) -> int:
    """Threads for arrays of this size."""
    return useful_threads(threads, size, UPDATED_NUMBERS)


@parallel
def _clip_and_square(thread, gradient, limit, by_value, parts):
    """Clips each number to +-limit and sums the squares in float64, a part a thread."""
    start, stop = partition(thread, gradient.size, 16)
    parts[thread.number] = _clip_and_square_range(gradient[start:stop], limit, by_value)


@jit
def _clip_and_square_range(g, limit, by_value):
    if by_value:
        for j in range(g.size):
            g[j] = limit if g[j] > limit else g[j]
            g[j] = -limit if g[j] < -limit else g[j]
    total = 0.0
    for j in range(g.size):
        total += np.float64(g[j]) * np.float64(g[j])
    return total


@parallel
def _update(thread, rule, w, g, m, v, numbers):
    start, stop = partition(thread, w.size, 16)
    _apply(rule, w[start:stop], g[start:stop], m[start:stop], v[start:stop], numbers)


@parallel
def _update_rows(thread, rule, w, tokens, g, m, v, numbers):
    nothing = np.empty(0, w.dtype)
    start, stop = partition(thread, tokens.size, 1)
    for i in range(start, stop):
        token = tokens[i]
        m_row = m[token] if m.size else nothing
        v_row = v[token] if v.size else nothing
        _apply(rule, w[token], g[i], m_row, v_row, numbers)


@jit
def _apply(rule, w, g, m, v, numbers):
    """The rules of the module's docstring, on one-dimensional arrays."""
    rate, factor, decay = numbers[0], numbers[1], numbers[2]
    b1, one_b1, b2, one_b2 = numbers[3], numbers[4], numbers[5], numbers[6]
    epsilon, unbias_m, unbias_v = numbers[7], numbers[8], numbers[9]
    if rule == 0:
        for j in range(w.size):
            w[j] -= rate * (factor * g[j] + decay * w[j])
    elif rule == 1:
        for j in range(w.size):
            m[j] = b1 * m[j] + factor * g[j] + decay * w[j]
            w[j] -= rate * m[j]
    elif rule == 2:
        for j in range(w.size):
            own = factor * g[j] + decay * w[j]
            v[j] += own * own
            w[j] -= rate * own / (np.sqrt(v[j]) + epsilon)
    elif rule == 5:
        for j in range(w.size):
            own = factor * g[j] + decay * w[j]
            v[j] = b2 * v[j] + one_b2 * own * own
            w[j] -= rate * own / (np.sqrt(v[j]) + epsilon)
    elif rule == 6:
        unbias_next = numbers[10]
        for j in range(w.size):
            own = factor * g[j] + decay * w[j]
            m[j] = b1 * m[j] + one_b1 * own
            v[j] = b2 * v[j] + one_b2 * own * own
            ahead = b1 * unbias_next * m[j] + one_b1 * unbias_m * own
            w[j] -= rate * ahead / (np.sqrt(v[j] * unbias_v) + epsilon)
    elif rule == 7:
        for j in range(w.size):
            own = factor * g[j]
            w[j] -= rate * (np.sign(b1 * m[j] + one_b1 * own) + decay * w[j])
            m[j] = b2 * m[j] + one_b2 * own
    else:
        l2 = decay if rule == 3 else decay * w.dtype.type(0)
        beside = decay - l2
        for j in range(w.size):
            own = factor * g[j] + l2 * w[j]
            m[j] = b1 * m[j] + one_b1 * own
            v[j] = b2 * v[j] + one_b2 * own * own
            w[j] -= rate * (m[j] * unbias_m / (np.sqrt(v[j] * unbias_v) + epsilon) + beside * w[j])
