"""The sampled softmax: in training a sample of the vocabulary, in scoring all of it.

z_j(t) = h(t) U_j' + b2_j, with a row U_j for each token; y^(t) = softmax(z(t)) as of the full softmax. In training a
window's rows share K tokens, drawn with replacement from the noise q (smoothed unigrams), and only these and the
targets have a gradient. With n_j, how often j was drawn:

    importance   J(t) = log Z^(t) - z_x(t)     Z^(t) = exp(z_x(t)) + sum_(j != x) n_j / (K q_j) exp(z_j(t))
                 Z^ is an unbiased estimate of Z (Bengio & Senécal 2003; Jean et al. 2015, section 3).
    nce          J(t) = - log sigma(z_x(t) - log(K q_x)) - sum_j n_j log(1 - sigma(z_j(t) - log(K q_j)))
                 Noise-contrastive estimation (Gutmann & Hyvärinen 2010; Mnih & Teh 2012), which draws log Z to 0.

Where nothing is drawn, as in scoring, it is the full softmax, whose code it uses (``outputs.softmax``, tied to U as
it would be to an embedding table).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlm.kernels.matmul import linear
from rnnlm.kernels.workspace import Context
from rnnlm.network.layers import projection
from rnnlm.network.layers.embedding import gather, scatter_add
from rnnlm.network.outputs import initial
from rnnlm.network.outputs.direct import DirectSoftmax, contexts, features
from rnnlm.network.outputs.direct import layer as direct_softmax
from rnnlm.network.outputs.sampled import noise, objectives
from rnnlm.network.outputs.softmax import Softmax
from rnnlm.network.outputs.softmax import layer as softmax
from rnnlm.network.protocols import (
    Array,
    Arrays,
    Axis,
    Draw,
    Objective,
    OutputLayer,
    OutputLoss,
    RowGradients,
    Rows,
    Scores,
    Shapes,
)


class _Window(NamedTuple):
    """What a window's rows have in common."""

    noise: noise.Noise
    tokens: NDArray[np.int32]  # the drawn tokens, then the targets that are none of them, each once
    own: NDArray[np.int64]  # R, each target's place in `tokens`
    U: Array  # their rows, n x D_h
    b2: Array  # n
    log_noise: Array  # n, log(K q)
    targets: NDArray[np.int32]  # R
    begins: NDArray[np.int64] | None  # R x (order - 1), where the features of each row's contexts begin


@dataclass(frozen=True)
class Sampled(OutputLayer[softmax.Packed | direct_softmax.Packed]):
    """A softmax that is trained by samples: from D_h numbers to |V| tokens. samples: K; noise_power: of the counts in
    q; tied: as of `Softmax`."""

    D_h: int
    d: int
    V: int
    tied: bool = False
    objective: Literal["importance", "nce"] = "importance"
    samples: int = 1000
    noise_power: float = 0.75
    direct: dict[str, int] | None = None

    @property
    def by_token(self) -> bool:
        return self.full.by_token

    @property
    def own_objective(self) -> bool:
        return True

    @property
    def full(self) -> Softmax | DirectSoftmax:
        """The full softmax that it is where nothing is drawn."""
        d = self.d if self.tied else self.D_h
        if self.direct is not None:
            return DirectSoftmax(self.D_h, d, self.V, True, **self.direct)
        return Softmax(self.D_h, d, self.V, True)

    @property
    def history(self) -> int:
        return self.full.history

    @property
    def _projects(self) -> bool:
        return self.tied and self.d != self.D_h

    @property
    def sparse(self) -> tuple[str, ...]:
        return self.full.sparse if self.tied else ("U", *self.full.sparse)

    def shapes(self) -> Shapes:
        own = {} if self.tied else {"U": (Axis(self.V, "V"), Axis(self.D_h, "D_h"))}
        return own | self.full.shapes()

    def init(self, dtype: DTypeLike, generator: np.random.Generator) -> Arrays:
        """U or P uniform in +-1/sqrt(D_h); b2 = 0, for NCE - log |V|, with which Z is near 1 from the beginning."""
        result = self.full.init(dtype, generator)
        if self.objective == "nce":
            result["b2"] -= np.log(self.V)
        if not self.tied:
            result["U"] = initial.uniform((self.V, self.D_h), self.D_h, dtype, generator)
        return result

    def tables(self, counts: NDArray[np.int64], classes: NDArray[np.int32] | None = None) -> Arrays:
        """q and its cumulated sums, |V| each."""
        q = noise.distribution(counts, self.noise_power)
        return {"noise": q, "cumulated_noise": np.cumsum(q)}

    @property
    def self_normalised(self) -> bool:
        return self.objective == "nce"

    def scores(self, parameters: Arrays, rows: Rows, context: Context, details: bool = False) -> Scores:
        tied = self._as_tied(parameters)
        found = self.full.scores(tied, rows, context, details)
        if self.self_normalised:
            p, targets = self._projected(parameters, rows.h, context), np.empty(len(rows.h), rows.h.dtype)
            objectives.target_logits(context.threads, p, tied["E"], tied["b2"], rows.targets, targets)
            begins, none = self._begins(rows), np.empty((len(p), 0), p.dtype)
            if begins is not None:
                D, tokens = parameters["D"], rows.targets[:0]
                features.add_some(context.threads, D, begins, tokens, rows.targets, none, targets)
            found.log_normalizer[:] = targets - found.log_probability
        return found

    def loss(self, parameters: Arrays, rows: Rows, objective: Objective, context: Context) -> float:
        if objective.draw is None:
            return self.full.loss(self._as_tied(parameters), rows, objective, context)
        p = self._projected(parameters, rows.h, context)
        window = self._window(parameters, rows, objective.draw, context)
        _, _, losses = self._losses(parameters, p, window, 1.0, context)
        return float(losses.sum())

    def backward(
        self, parameters: Arrays, gradients: Arrays, rows: Rows, objective: Objective, dh: Array, context: Context
    ) -> OutputLoss:
        """Of NCE, J is - z_x: the loss of y^ as if Z were 1, as it is meant to be."""
        if objective.draw is None:
            return self._full_backward(parameters, gradients, rows, objective, dh, context)
        p, workspace = self._projected(parameters, rows.h, context), context.workspace
        window = self._window(parameters, rows, objective.draw, context)
        targets, d_targets, losses = self._losses(parameters, p, window, objective.scale, context)
        delta, drawn = workspace.take("logits", (len(p), len(window.noise.tokens))), len(window.noise.tokens)
        dU = workspace.take("dU", window.U.shape)
        dU[drawn:] = 0
        linear.outer(delta, p, dU[:drawn], context)
        objectives.add_to_rows(context.threads, p, window.own, d_targets, dU)
        dp = workspace.take("dp", p.shape) if self._projects else dh
        linear.forward(delta, window.U[:drawn], np.zeros(p.shape[1], p.dtype), dp, context)
        objectives.add_targets(context.threads, p, window.U, window.own, d_targets, dp)
        d_b2 = np.zeros(len(window.tokens), p.dtype)
        objectives.sums_of_columns(delta, d_b2[:drawn])
        np.add.at(d_b2, window.own, d_targets)
        gradients["b2"].fill(0)
        gradients["b2"][window.tokens] = d_b2
        if self._projects:
            projection.backward(rows.h, parameters["P"], dp, gradients["P"], dh, context.part("P"))
        J = float(losses.sum() if self.objective == "importance" else -targets.sum(dtype=np.float64))
        by_rows = self._features_back(window, delta, d_targets, context)
        if not self.tied:
            return OutputLoss(J, {"U": (window.tokens, dU)} | by_rows)
        gradients["E"].fill(0)
        scatter_add(gradients["E"], window.tokens, dU)
        return OutputLoss(J, by_rows)

    def pack(self, parameters: Arrays, context: Context) -> softmax.Packed | direct_softmax.Packed:
        return self.full.pack(self._as_tied(parameters), context)

    def log_distribution(
        self, packed: Any, h: Array, history: NDArray[np.int32] | None, threads: int
    ) -> NDArray[np.float64]:
        return self.full.log_distribution(packed, h, history, threads)

    def draw(
        self, packed: Any, h: Array, history: NDArray[np.int32] | None, how: Draw, threads: int
    ) -> NDArray[np.int32]:
        return self.full.draw(packed, h, history, how, threads)

    def multiplications(self) -> int:
        """Of training: of the sample."""
        projected = self.D_h * self.d if self._projects else 0
        return projected + (self.d if self.tied else self.D_h) * (min(self.samples, self.V) + 1)

    def held_bytes(self, rows: int, itemsize: int, threads: int) -> int:
        """Logits, and the rows of U with their gradients."""
        d, drawn = self.d if self.tied else self.D_h, min(self.samples, self.V)
        return (rows * drawn + 2 * min(self.V, drawn + rows) * d) * itemsize + 8 * self.V

    def _as_tied(self, parameters: Arrays) -> Arrays:
        """The parameters of the full softmax, to which U is its embedding table."""
        return parameters if self.tied else parameters | {"E": parameters["U"]}

    def _full_backward(
        self, parameters: Arrays, gradients: Arrays, rows: Rows, objective: Objective, dh: Array, context: Context
    ) -> OutputLoss:
        if self.tied:
            return self.full.backward(parameters, gradients, rows, objective, dh, context)
        own = {"E": context.workspace.take("full_dU", parameters["U"].shape), "b2": gradients["b2"]}
        found = self.full.backward(self._as_tied(parameters), own, rows, objective, dh, context)
        return OutputLoss(found.J, {"U": (np.arange(self.V, dtype=np.int32), own["E"])} | (found.rows or {}))

    def _projected(self, parameters: Arrays, h: Array, context: Context) -> Array:
        """What U multiplies."""
        return projection.forward(h, parameters["P"], None, context.part("P")) if self._projects else h

    def _begins(self, rows: Rows) -> NDArray[np.int64] | None:
        """Where the features of each row's contexts begin; None without direct connections."""
        full = self.full
        return full.begins(rows) if isinstance(full, DirectSoftmax) else None

    def _window(self, parameters: Arrays, rows: Rows, draw: tuple[int, int], context: Context) -> _Window:
        targets = rows.targets
        q, table = parameters["noise"], self._as_tied(parameters)["E"]
        drawn = noise.draw(parameters["cumulated_noise"], self.samples, *draw)
        own = np.searchsorted(drawn.tokens, targets)
        new = drawn.tokens.take(own, mode="clip") != targets
        others, places = np.unique(targets[new], return_inverse=True)
        own[new] = len(drawn.tokens) + places
        tokens = np.concatenate([drawn.tokens, others])
        U = context.workspace.take("U", (len(tokens), table.shape[1]))
        gather(table, tokens, U)
        log_noise = np.log(self.samples * q[tokens]).astype(table.dtype)
        return _Window(drawn, tokens, own, U, parameters["b2"][tokens], log_noise, targets, self._begins(rows))

    def _features_back(
        self, window: _Window, delta: Array, target_delta: Array, context: Context
    ) -> dict[str, RowGradients]:
        """dJ/dD by its blocks, from dJ/dz of the drawn tokens (R x n) and of each target (R)."""
        if window.begins is None or not isinstance(self.full, DirectSoftmax):
            return {}
        begins, tokens, targets = window.begins, window.noise.tokens, window.targets
        touched = features.touched_by_some(begins, tokens, targets, self.full.blocks, context)
        dD = context.workspace.take("dD", (len(touched.blocks), contexts.WIDTH))
        dD[:] = 0
        features.gradient_of_some(context.threads, begins, tokens, targets, delta, target_delta, touched.place, dD)
        return {"D": (touched.blocks, dD)}

    def _losses(
        self, parameters: Arrays, p: Array, window: _Window, scale: float, context: Context
    ) -> tuple[Array, Array, Array]:
        """z_x, scale dJ/dz_x and J of each row; leaves scale dJ/dz of the drawn tokens as ``logits`` (R x n)."""
        workspace, threads, count, drawn = context.workspace, context.threads, len(p), len(window.noise.tokens)
        logits = workspace.take("logits", (count, drawn))
        times, bias = window.noise.times.astype(p.dtype), window.b2[:drawn] - window.log_noise[:drawn]
        if self.objective == "importance":
            bias += np.log(times)
        linear.forward(p, window.U[:drawn], bias, logits, context, transposed=True)
        targets, d_targets, losses = np.zeros(count, p.dtype), np.zeros(count, p.dtype), np.zeros(count)
        objectives.target_logits(threads, p, window.U, window.b2, window.own, targets)
        if window.begins is not None:
            D, tokens = parameters["D"], window.noise.tokens
            features.add_some(threads, D, window.begins, tokens, window.targets, logits, targets)
        factor = p.dtype.type(scale)
        if self.objective == "importance":
            objectives.importance(threads, logits, targets, window.own, factor, d_targets, losses)
        else:
            objectives.contrast(
                threads, logits, targets, window.log_noise, window.own, times, factor, d_targets, losses
            )
        return targets, d_targets, losses
