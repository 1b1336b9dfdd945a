"""A mixture of K softmaxes over the vocabulary (Yang, Dai, Salakhutdinov & Cohen 2018).

    pi(t)  = softmax(h(t) W)                   1 x K      W: D_h x K          how much each softmax counts
    u_k(t) = h(t) P_k + c_k                    1 x m      P_k: D_h x m
    g_k(t) = tanh(u_k(t))                                                     what the k-th of them reads
    q_k(t) = softmax(g_k(t) U + b2)            1 x |V|    U: m x |V|   b2: |V|, the same for all of them
    y^(t)  = sum_k pi_k(t) q_k(t)
    J(t)   = - log y^_x(t)                                x: the token that came (y(t) has its 1 there)

P = [P_1 ... P_K] is D_h x K m, c has K m numbers. m is D_h, or, where the weights are tied and U = E' is the
transposed embedding table, d. The logarithms of y^ of many contexts, a matrix with a row each, have rank m with one
softmax, however large the vocabulary; the logarithm of a sum is not bound to that.

Backward, with r_k(t) = pi_k q_k,x / y^_x, the responsibility of the k-th softmax for what came:

    dJ/dz_k(t) = r_k (q_k - y)                 z_k = g_k U + b2
    dJ/dU = sum_t,k g_k' dJ/dz_k               dJ/db2 = sum_t,k dJ/dz_k
    dJ/du_k(t) = (dJ/dz_k U') o (1 - g_k o g_k)
    dJ/dP_k = sum_t h' dJ/du_k                 dJ/dc_k = sum_t dJ/du_k
    dJ/d(h W) = pi - r                         dJ/dW = sum_t h' (pi - r)
    dJ/dh(t) = sum_k dJ/du_k P_k' + (pi - r) W'

So, r given, these are K plain softmaxes of which each row counts r_k times: the rows g_k(t), N K x m, go through the
plain softmax's kernels (``softmax.columns``, for any size of vocabulary), which ask for r as soon as all q_k,x of a
block of rows are known. The logits, N K x |V|, are never there as a whole where that would be large. In bfloat16 all
products are rounded as the plain softmax's are; pi and r are computed in float64.

    heads              pi and g_k
    responsibilities   y^_x and r_k, from all q_k,x
    rows               whole rows of log y^, for sampling and for ranks and entropies
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlm.kernels import cpu
from rnnlm.kernels.workspace import Context
from rnnlm.network.outputs import initial
from rnnlm.network.outputs.mixture import heads, responsibilities, rows
from rnnlm.network.outputs.softmax import columns, logits
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


@dataclass(frozen=True)
class Mixture(OutputLayer[rows.Packed]):
    """A mixture of K = `softmaxes` softmaxes: from D_h numbers to |V| tokens. tied: U is the transposed embedding
    table, |V| x d."""

    D_h: int
    d: int
    V: int
    tied: bool = False
    softmaxes: int = 5

    @property
    def by_token(self) -> bool:
        return True

    @property
    def _width(self) -> int:
        """m."""
        return self.d if self.tied else self.D_h

    def shapes(self) -> Shapes:
        K, m = self.softmaxes, self._width
        D_h, V = Axis(self.D_h, "D_h"), Axis(self.V, "V")
        own: Shapes = {"W": (D_h, Axis(K, "K")), "P": (D_h, Axis(K * m, "K m")), "c": (Axis(K * m, "K m"),)}
        return own | ({} if self.tied else {"U": (Axis(m, "m"), V)}) | {"b2": (V,)}

    def init(self, dtype: DTypeLike, generator: np.random.Generator) -> Arrays:
        """W, P and U uniform in +-1/sqrt(D_h); biases 0."""
        return {
            name: initial.uniform(shape, self.D_h, dtype, generator) if len(shape) == 2 else np.zeros(shape, dtype)
            for name, shape in self.shapes().items()
        }

    def scores(self, parameters: Arrays, rows_: Rows, context: Context, details: bool = False) -> Scores:
        (h, targets, _), weights = rows_, weights_of(parameters)
        found = Scores.zeros(len(h))
        made = heads.forward(parameters, h, context)
        if details:
            rows.forward(made, weights, targets, found, context)
        else:
            log_q = np.zeros(made.log_pi.size)
            columns.forward(Block(made.g, np.repeat(targets, self.softmaxes)), weights, log_q, context)
            responsibilities.forward(made.log_pi, log_q, found.log_probability)
        return found

    def backward(
        self, parameters: Arrays, gradients: Arrays, rows_: Rows, objective: Objective, dh: Array, context: Context
    ) -> OutputLoss:
        (h, targets, _), scale, K = rows_, objective.scale, self.softmaxes
        log_pi, g = heads.forward(parameters, h, context)
        take = context.workspace.take
        d_heads = heads.HeadGradients(take("d_prior", log_pi.shape), take("dg", g.shape))
        losses = []

        def weigh(part: slice, log_q: Array, weights: Array) -> None:
            own = slice(part.start // K, part.stop // K)
            losses.append(responsibilities.backward(log_pi[own], log_q, scale, weights, d_heads.d_prior[own]))

        columns.backward(
            Block(g, np.repeat(targets, K)), weights_of(parameters), weights_of(gradients), d_heads.dg,
            np.full(len(g), scale), context, columns.Weighting(weigh, K),
        )  # fmt: skip
        heads.backward(parameters, gradients, h, g, d_heads, dh, context)
        return OutputLoss(sum(losses))

    def pack(self, parameters: Arrays, context: Context) -> rows.Packed:
        return rows.pack(parameters, weights_of(parameters), context.workspace)

    def log_distribution(
        self, packed: rows.Packed, h: Array, history: NDArray[np.int32] | None, threads: int
    ) -> NDArray[np.float64]:
        return logits.log_softmax(self._log_y(packed, h, threads))

    def draw(
        self, packed: rows.Packed, h: Array, history: NDArray[np.int32] | None, how: Draw, threads: int
    ) -> NDArray[np.int32]:
        return logits.draw(self._log_y(packed, h, threads), how, threads)

    def multiplications(self) -> int:
        K, m = self.softmaxes, self._width
        return self.D_h * K * (m + 1) + K * m * self.V

    def held_bytes(self, rows: int, itemsize: int, threads: int) -> int:
        """g, dJ/dg and what products read of them, and logits."""
        all_rows = rows * self.softmaxes
        return 3 * all_rows * self._width * itemsize + min(all_rows * self.V * itemsize, cpu.SOFTMAX_BYTES)

    def _log_y(self, packed: rows.Packed, h: Array, threads: int) -> Array:
        """log y^ of rows of h, B x |V|: logits like those of a plain softmax."""
        z = packed.workspace.take("z", (len(h), self.V))
        rows.step(packed, h, z, threads)
        return z
