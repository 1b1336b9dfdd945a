"""The full softmax over the vocabulary.

    z2(t) = h(t) U + b2                   1 x |V|      U: D_h x |V|   b2: |V|
    y^(t) = softmax(z2(t))
    J(t)  = - log y^_x(t)                 x: the token that came (y(t) has its 1 there)

    delta2(t) = dJ(t)/dz2(t) = y^(t) - y(t)
    dJ/dU = sum_t h(t)' delta2(t)         dJ/db2 = sum_t delta2(t)         dJ/dh(t) = delta2(t) U'

The steps of all streams are rows here: h is N x D_h, one target a row. The N x |V| matrix of logits exists once at
most, and never as one pass over memory for each line above:

    columns   large vocabularies: each thread has its own part of the vocabulary, and with it of U and dU
    rows      small ones (characters): each thread has its own rows; the threads' dUs are added in their order
    logits    whole rows of logits, for sampling and for ranks and entropies

Tied weights (Press & Wolf 2017; Inan et al. 2017): U is the transposed embedding table E, |V| x d. Where d is not
D_h, a projection stands before it (Press & Wolf 2017):

    p(t) = h(t) P                         1 x d        P: D_h x d          z2(t) = p(t) E' + b2
    dJ/dP = sum_t h(t)' dJ/dp(t)          dJ/dh(t) = dJ/dp(t) P'           dJ/dp(t) = delta2(t) E
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlm.kernels import cpu
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.layers import projection
from rnnlm.network.outputs import initial
from rnnlm.network.outputs.softmax import columns, logits, smoothing, targets, variance
from rnnlm.network.outputs.softmax import rows as by_rows
from rnnlm.network.outputs.softmax.weights import Block, weights_of
from rnnlm.network.protocols import (
    Array,
    Arrays,
    Axis,
    Draw,
    Objective,
    OutputLayer,
    OutputLoss,
    Rows,
    Scores,
    Shapes,
)

# Vocabularies from here on are partitioned by columns.
_COLUMNS_FROM = 512


class Packed(NamedTuple):
    """Weights that do not change any more, for one token at a time."""

    softmax: logits.Packed
    P: projection.Packed | None
    workspace: Workspace


@dataclass(frozen=True)
class Softmax(OutputLayer[Packed]):
    """The full softmax: from D_h numbers to |V| tokens. tied: U is the transposed embedding table, |V| x d, behind a
    projection where d is not D_h; variance_regularization: gamma, in training (see ``softmax.variance``)."""

    D_h: int
    d: int
    V: int
    tied: bool = False
    variance_regularization: float = 0.0

    @property
    def own_objective(self) -> bool:
        return self.variance_regularization > 0

    @property
    def self_normalised(self) -> bool:
        return self.own_objective

    @property
    def by_token(self) -> bool:
        return True

    @property
    def _projects(self) -> bool:
        return self.tied and self.d != self.D_h

    def shapes(self) -> Shapes:
        D_h, d, V = Axis(self.D_h, "D_h"), Axis(self.d, "d"), Axis(self.V, "V")
        if not self.tied:
            return {"U": (D_h, V), "b2": (V,)}
        return ({"P": (D_h, d)} if self._projects else {}) | {"b2": (V,)}

    def init(self, dtype: DTypeLike, generator: np.random.Generator) -> Arrays:
        """U or P uniform in +-1/sqrt(D_h), b2 = 0."""
        result: Arrays = {"b2": np.zeros(self.V, dtype)}
        for name, shape in self.shapes().items():
            if name != "b2":
                result[name] = initial.uniform(shape, self.D_h, dtype, generator)
        return result

    def scores(self, parameters: Arrays, rows: Rows, context: Context, details: bool = False) -> Scores:
        block, weights = self._block(parameters, rows, context), weights_of(parameters)
        found = Scores.zeros(len(rows.h))
        if details or self.V < _COLUMNS_FROM:
            logits.forward(block, weights, found, details, context)
        else:
            columns.forward(block, weights, found.log_probability, context)
        if self.self_normalised:
            found.log_normalizer[:] = targets.logits(block, weights) - found.log_probability
        return found

    def loss(self, parameters: Arrays, rows: Rows, objective: Objective, context: Context) -> float:
        found = self.scores(parameters, rows, context)
        J = -float(found.log_probability.sum())
        if objective.label_smoothing > 0:
            block = self._block(parameters, rows, context)
            J += smoothing.added(block, weights_of(parameters), found.log_probability, objective.label_smoothing)
        return J + variance.added(found.log_normalizer, self._gamma(objective))

    def backward(
        self, parameters: Arrays, gradients: Arrays, rows: Rows, objective: Objective, dh: Array, context: Context
    ) -> OutputLoss:
        scale, share, gamma = objective.scale, objective.label_smoothing, self._gamma(objective)
        c = np.zeros(len(rows.h))
        if gamma > 0:
            c = variance.factors(self.scores(parameters, rows, context).log_normalizer, gamma)
        block = self._block(parameters, rows, context)
        weights, d_weights = weights_of(parameters), weights_of(gradients)
        dp = context.workspace.take("dp", block.h.shape) if self._projects else dh
        way = by_rows if self.V < _COLUMNS_FROM else columns
        J = way.backward(block, weights, d_weights, dp, scale * (1 + c), context)
        if share > 0:
            smoothing.backward(block, weights, d_weights, dp, scale, share)
        if gamma > 0:
            targets.add(block, weights, d_weights, dp, scale * c)
        if self._projects:
            projection.backward(rows.h, parameters["P"], dp, gradients["P"], dh, context.part("P"))
        return OutputLoss(J)

    def pack(self, parameters: Arrays, context: Context) -> Packed:
        P = projection.pack(parameters["P"], None, context.workspace.part("P")) if self._projects else None
        return Packed(logits.pack(weights_of(parameters), context.workspace), P, context.workspace)

    def log_distribution(
        self, packed: Packed, h: Array, history: NDArray[np.int32] | None, threads: int
    ) -> NDArray[np.float64]:
        return logits.log_softmax(self._logits(packed, h, threads))

    def draw(
        self, packed: Packed, h: Array, history: NDArray[np.int32] | None, how: Draw, threads: int
    ) -> NDArray[np.int32]:
        return logits.draw(self._logits(packed, h, threads), how, threads)

    def multiplications(self) -> int:
        if not self._projects:
            return self.D_h * self.V
        return self.D_h * self.d + self.d * self.V

    def held_bytes(self, rows: int, itemsize: int, threads: int) -> int:
        """p, logits and the threads' own dUs."""
        projected = 2 * rows * self.d * itemsize if self._projects else 0
        if self.V < _COLUMNS_FROM:
            return projected + max(1, threads - 1) * self.V * (self.d if self.tied else self.D_h) * itemsize
        return projected + min(rows * self.V * itemsize, cpu.SOFTMAX_BYTES)

    def _gamma(self, objective: Objective) -> float:
        """Of training alone."""
        return 0.0 if objective.draw is None else self.variance_regularization

    def _block(self, parameters: Arrays, rows: Rows, context: Context) -> Block:
        """What U multiplies, h or p, and the targets."""
        if not self._projects:
            return Block(rows.h, rows.targets)
        return Block(projection.forward(rows.h, parameters["P"], None, context.part("P")), rows.targets)

    def _logits(self, packed: Packed, h: Array, threads: int) -> Array:
        """z2 of rows of h, B x |V|."""
        if packed.P is not None:
            h = projection.step(packed.P, h, threads)
        z: Array = packed.workspace.take("z", (len(h), self.V))
        logits.step(packed.softmax, h, z, threads)
        return z
