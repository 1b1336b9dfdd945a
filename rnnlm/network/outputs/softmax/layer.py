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

from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.layers import projection
from rnnlm.network.outputs.softmax import columns, logits, rows, smoothing
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

# Vocabularies from here on are shared out by columns.
_COLUMNS_FROM = 512


class Packed(NamedTuple):
    """Weights that do not change any more, for one token at a time."""

    packed_U: Array
    b2: Array
    P: projection.Packed | None
    workspace: Workspace


@dataclass(frozen=True)
class Softmax(OutputLayer[Packed]):
    """The full softmax: from D_h numbers to |V| tokens. tied: U is the transposed embedding table, |V| x d, behind a
    projection where d is not D_h."""

    D_h: int
    d: int
    V: int
    tied: bool = False

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
        bound = 1 / np.sqrt(self.D_h)
        for name, shape in self.shapes().items():
            if name != "b2":
                result[name] = np.empty(shape, dtype)
                for row in result[name]:  # no second U, in float64, beside it
                    row[:] = generator.uniform(-bound, bound, row.size)
        return result

    def scores(self, parameters: Arrays, rows_: Rows, context: Context, details: bool = False) -> Scores:
        count, (workspace, threads) = len(rows_.h), context
        h, (U, b2, tied) = self._projected(parameters, rows_.h, context), _operands(parameters)
        found = Scores(np.zeros(count), np.zeros(count, np.int64), np.zeros(count))
        if details or self.V < _COLUMNS_FROM:
            logits.forward(h, U, b2, tied, rows_.targets, *found, details, workspace, threads)
        else:
            columns.forward(h, U, b2, tied, rows_.targets, found.log_probability, workspace, threads)
        return found

    def loss(self, parameters: Arrays, rows_: Rows, objective: Objective, context: Context) -> float:
        log_probability = self.scores(parameters, rows_, context).log_probability
        if objective.label_smoothing == 0:
            return -float(log_probability.sum())
        h, (U, b2, tied) = self._projected(parameters, rows_.h, context), _operands(parameters)
        return smoothing.value(h, U, b2, tied, rows_.targets, log_probability, objective.label_smoothing)

    def backward(
        self, parameters: Arrays, gradients: Arrays, rows_: Rows, objective: Objective, dh: Array, context: Context
    ) -> OutputLoss:
        (h, targets, _), (scale, share), (workspace, threads) = rows_, objective, context
        p = self._projected(parameters, h, context)
        dp = dh if p is h else workspace.take("dp", p.shape)
        U, b2, tied = _operands(parameters)
        dU, db2, _ = _operands(gradients)
        way = rows if self.V < _COLUMNS_FROM else columns
        loss = way.backward(p, U, b2, tied, targets, h.dtype.type(scale), dU, db2, dp, workspace, threads)
        if share > 0:
            smoothing.backward(p, U, b2, tied, targets, scale, share, dU, db2, dp)
        if p is not h:
            projection.backward(h, parameters["P"], dp, gradients["P"], dh, workspace.part("P"), threads)
        return OutputLoss(loss)

    def pack(self, parameters: Arrays, context: Context) -> Packed:
        U, b2, tied = _operands(parameters)
        P = None
        if self._projects:
            P = projection.pack(parameters["P"], None, context.workspace.part("P"))
        return Packed(logits.ready(U, tied, context.workspace), b2, P, context.workspace)

    def log_distribution(
        self, packed: Packed, h: Array, history: NDArray[np.int32] | None, threads: int
    ) -> NDArray[np.float64]:
        return np.asarray(logits.log_softmax(self._logits(packed, h, threads)))

    def draw(
        self, packed: Packed, h: Array, history: NDArray[np.int32] | None, how: Draw, threads: int
    ) -> NDArray[np.int32]:
        z = self._logits(packed, h, threads)
        return np.asarray(logits.draw(z, how.temperature, how.excluded, how.uniforms, threads))

    def multiplications(self) -> int:
        if not self._projects:
            return self.D_h * self.V
        return self.D_h * self.d + self.d * self.V

    def held_bytes(self, rows: int, itemsize: int, threads: int) -> int:
        """p, logits and the threads' own dUs."""
        projected = 2 * rows * self.d * itemsize if self._projects else 0
        if self.V < _COLUMNS_FROM:
            return projected + max(1, threads - 1) * self.V * (self.d if self.tied else self.D_h) * itemsize
        return projected + min(rows * self.V * itemsize, columns.HELD)

    def _projected(self, parameters: Arrays, h: Array, context: Context) -> Array:
        """What U multiplies: h, or p where there is a P."""
        if not self._projects:
            return h
        return np.asarray(projection.forward(h, parameters["P"], None, context.workspace.part("P"), context.threads))

    def _logits(self, packed: Packed, h: Array, threads: int) -> Array:
        """z2 of rows of h, B x |V|."""
        if packed.P is not None:
            h = projection.step(packed.P, h, threads)
        z = packed.workspace.take("z", (len(h), self.V))
        logits.step(packed.packed_U, packed.b2, h, z, threads)
        return z


def _operands(arrays: Arrays) -> tuple[Array, Array, bool]:
    """U, b2 and whether U is tied, and so given as its transpose."""
    tied = "E" in arrays
    return arrays["E" if tied else "U"], arrays["b2"], tied
