"""The full softmax with direct n-gram connections, a maximum entropy model beside the network.

    z2(t) = h(t) U' + b2 + sum_k D[c_k(t)]        1 x |V|      U: |V| x D_h   b2: |V|   D: S / 16 x 16
    y^(t) = softmax(z2(t))

c_k(t): the features of the last k tokens, k = 1 ... order - 1, which are |V| of D's S weights, found by a hash
(Mikolov et al. 2011; ``direct.contexts``). So D knows n-grams by heart, and the network learns what is beyond them.

    dJ/dD[c_k(t)] += delta2(t)          and as in the softmax:
    delta2(t) = y^(t) - y(t)       dJ/dU = sum_t delta2(t)' h(t)       dJ/db2 = sum_t delta2(t)       dJ/dh = delta2 U

Whole rows of z2 are in memory, some at a time. Where weights are tied, U is the embedding table, |V| x d, with a
projection before it as in ``outputs.softmax``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlm.kernels import cpu
from rnnlm.kernels.matmul import linear
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.layers import projection
from rnnlm.network.outputs import initial
from rnnlm.network.outputs.direct import contexts, features
from rnnlm.network.outputs.direct import rows as whole_rows
from rnnlm.network.outputs.softmax import logits
from rnnlm.network.outputs.softmax.weights import Weights
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


class Packed(NamedTuple):
    """Weights that do not change any more, for one token at a time."""

    softmax: logits.Packed
    D: Array
    P: projection.Packed | None
    workspace: Workspace


@dataclass(frozen=True)
class DirectSoftmax(OutputLayer[Packed]):
    """From D_h numbers to |V| tokens. order: of the longest n-grams, at least 2; size: S, the weights of D, which is
    rounded up to a multiple of 16 and to |V|; tied: as of `Softmax`."""

    D_h: int
    d: int
    V: int
    tied: bool = False
    order: int = 3
    size: int = 1 << 22

    @property
    def history(self) -> int:
        return self.order - 1

    @property
    def sparse(self) -> tuple[str, ...]:
        return ("D",)

    @property
    def blocks(self) -> int:
        """Of D: enough for one context's features at least."""
        return -(-max(self.size, self.V) // contexts.WIDTH)

    @property
    def _projects(self) -> bool:
        return self.tied and self.d != self.D_h

    def shapes(self) -> Shapes:
        D_h, d, V = Axis(self.D_h, "D_h"), Axis(self.d, "d"), Axis(self.V, "V")
        own: Shapes = {} if self.tied else {"U": (V, D_h)}
        projected: Shapes = {"P": (D_h, d)} if self._projects else {}
        return own | projected | {"b2": (V,), "D": (Axis(self.blocks, "S / 16"), Axis(contexts.WIDTH, "16"))}

    def init(self, dtype: DTypeLike, generator: np.random.Generator) -> Arrays:
        """U or P uniform in +-1/sqrt(D_h); b2 = 0 and D = 0."""
        result: Arrays = {}
        for name, shape in self.shapes().items():
            drawn = name in ("U", "P")
            result[name] = initial.uniform(shape, self.D_h, dtype, generator) if drawn else np.zeros(shape, dtype)
        return result

    def scores(self, parameters: Arrays, rows: Rows, context: Context, details: bool = False) -> Scores:
        p, begins, found = self._projected(parameters, rows.h, context), self.begins(rows), Scores.zeros(len(rows.h))
        for part in self._parts(len(p)):
            z = self._logits(parameters, p[part], begins[part], context)
            own = Scores._make(column[part] for column in found)
            whole_rows.score(context.threads, z, rows.targets[part], own, details)
        return found

    def backward(
        self, parameters: Arrays, gradients: Arrays, rows: Rows, objective: Objective, dh: Array, context: Context
    ) -> OutputLoss:
        p, begins, U = self._projected(parameters, rows.h, context), self.begins(rows), self._U(parameters)
        dU, losses = gradients["E" if self.tied else "U"], np.zeros(len(p))
        dp = context.workspace.take("dp", p.shape) if self._projects else dh
        touched = features.touched(begins, self.blocks, self.V, context)
        dD = context.workspace.take("dD", (len(touched.blocks), contexts.WIDTH))
        dD[:] = 0
        gradients["b2"].fill(0)
        db2 = context.workspace.take("db2", (context.threads, self.V))
        no_bias = np.zeros(p.shape[1], p.dtype)
        for part in self._parts(len(p)):
            delta = self._logits(parameters, p[part], begins[part], context)
            scale = p.dtype.type(objective.scale)
            whole_rows.backward(context.threads, delta, rows.targets[part], scale, db2, losses[part])
            linear.outer(delta, p[part], dU, context, add=part.start > 0)
            linear.forward(delta, U, no_bias, dp[part], context)
            gradients["b2"] += db2.sum(axis=0)
            features.gradient(context.threads, begins[part], delta, touched.place, dD)
        if self._projects:
            projection.backward(rows.h, parameters["P"], dp, gradients["P"], dh, context.part("P"))
        return OutputLoss(float(losses.sum()), {"D": (touched.blocks, dD)})

    def pack(self, parameters: Arrays, context: Context) -> Packed:
        P = projection.pack(parameters["P"], None, context.workspace.part("P")) if self._projects else None
        weights = logits.pack(Weights(self._U(parameters), parameters["b2"], True), context.workspace)
        return Packed(weights, parameters["D"], P, context.workspace)

    def log_distribution(
        self, packed: Packed, h: Array, history: NDArray[np.int32] | None, threads: int
    ) -> NDArray[np.float64]:
        return logits.log_softmax(self._next(packed, h, history, threads))

    def draw(
        self, packed: Packed, h: Array, history: NDArray[np.int32] | None, how: Draw, threads: int
    ) -> NDArray[np.int32]:
        return logits.draw(self._next(packed, h, history, threads), how, threads)

    def multiplications(self) -> int:
        return (self.D_h * self.d if self._projects else 0) + (self.d if self.tied else self.D_h) * self.V

    def held_bytes(self, rows: int, itemsize: int, threads: int) -> int:
        """Logits, D's gradient by blocks, and where each block stands in it."""
        held = min(rows * self.V * itemsize, cpu.SOFTMAX_BYTES)
        touched = min(self.blocks, rows * self.history * -(-self.V // contexts.WIDTH))
        return held + touched * (contexts.WIDTH * itemsize + 4) + 4 * self.blocks

    def _U(self, parameters: Arrays) -> Array:
        return parameters["E" if self.tied else "U"]

    def begins(self, rows: Rows) -> NDArray[np.int64]:
        """Where the features of each row's contexts begin, N x (order - 1)."""
        assert rows.history is not None
        return contexts.begins(rows.history, self.blocks)

    def _projected(self, parameters: Arrays, h: Array, context: Context) -> Array:
        """What U multiplies."""
        return projection.forward(h, parameters["P"], None, context.part("P")) if self._projects else h

    def _parts(self, count: int) -> list[slice]:
        """Rows that are in memory together."""
        most = max(1, cpu.SOFTMAX_BYTES // (8 * self.V))
        parts = -(-count // most)
        return [slice(count * i // parts, count * (i + 1) // parts) for i in range(parts)]

    def _logits(self, parameters: Arrays, p: Array, begins: NDArray[np.int64], context: Context) -> Array:
        """z2 of some rows, R x |V|."""
        z = context.workspace.take("logits", (len(p), self.V))
        linear.forward(p, self._U(parameters), parameters["b2"], z, context, transposed=True)
        features.add(context.threads, parameters["D"], begins, z)
        return z

    def _next(self, packed: Packed, h: Array, history: NDArray[np.int32] | None, threads: int) -> Array:
        """z2 of rows of h, B x |V|."""
        assert history is not None
        if packed.P is not None:
            h = projection.step(packed.P, h, threads)
        z: Array = packed.workspace.take("z", (len(h), self.V))
        logits.step(packed.softmax, h, z, threads)
        features.add(1 if len(h) == 1 else threads, packed.D, contexts.begins(history, self.blocks), z)
        return z
