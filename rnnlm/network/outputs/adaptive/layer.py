"""The adaptive softmax (Grave, Joulin, Cissé, Grangier & Jégou 2017, section 4).

Tokens have their ids by falling count. The cutoffs c_1 < c_2 < ... < c_C cut them into a head of the c_1 most
frequent tokens and C clusters; cluster k has the ids from c_k to below c_(k+1), with c_(C+1) = |V|.

    a(t)    = softmax(h(t) U + b2)                 1 x (c_1 + C)     U: D_h x (c_1 + C)     the head
    p_k(t)  = h(t) P_k                             1 x m_k           P_k: D_h x m_k         m_k = D_h / factor^k
    q_k(t)  = softmax(p_k(t) U_k + b2_k)           1 x |V_k|         U_k: m_k x |V_k|       cluster k

    y^_x(t) = a_x(t)                               for x in the head
    y^_x(t) = a_(c_1 + k - 1)(t) q_k,(x - c_k)(t)  for x in cluster k
    J(t)    = - log y^_x(t)

So J is the loss of the head, whose target is x or its cluster, and of the target's own cluster. Both are plain
softmaxes (``softmax``). Cluster k has gradients of the rows alone whose target lies in it:

    dJ/dh(t) = dJ_head/dh(t) + dJ_k/dp_k(t) P_k'   dJ/dP_k = sum_(t: x(t) in k) h(t)' dJ_k/dp_k(t)

Tied weights: the head's tokens have their embeddings for columns of U, the first c_1 rows of the table E, and its
clusters have rows of their own, E_c: C x d; where d is not D_h, a projection P stands before U, as of the plain
softmax. Cluster k is tied where m_k = d: U_k is transposed rows c_k to below c_(k+1) of E then. With d = D_h that is
so for a factor of 1; with a larger one the clusters keep their own U_k.

    U = [E_(0 ... c_1 - 1); E_c]'                                      U_k = E_(c_k ... c_(k+1) - 1)'
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.layers import projection
from rnnlm.network.outputs import distribution, initial
from rnnlm.network.outputs.adaptive import cutoffs
from rnnlm.network.outputs.softmax import Softmax, logits
from rnnlm.network.outputs.softmax import layer as softmax
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

    head: softmax.Packed
    P: list[projection.Packed]
    clusters: list[softmax.Packed]
    workspace: Workspace


class _Cluster(NamedTuple):
    """Tokens [first, stop), of which `softmax` computes q_k from p_k."""

    k: int
    first: int
    stop: int
    softmax: Softmax


@dataclass(frozen=True)
class Adaptive(OutputLayer[Packed]):
    """An adaptive softmax: from D_h numbers to |V| tokens. cutoffs: c_1, c_2 ..., None: chosen; factor: how many
    times narrower each cluster is than the one before it; tied: the head to the embedding table, and the clusters
    whose width is d."""

    D_h: int
    d: int
    V: int
    tied: bool = False
    cutoffs: tuple[int, ...] | list[int] | None = None
    factor: float = 4.0

    def __post_init__(self) -> None:
        """Raises: InputError: as ``cutoffs.check``."""
        chosen = tuple(self.cutoffs) if self.cutoffs else cutoffs.choose(self.V)
        cutoffs.check(chosen, self.V)
        object.__setattr__(self, "cutoffs", chosen)

    @property
    def _bounds(self) -> tuple[int, ...]:
        """c_1, c_2 ... |V|."""
        assert isinstance(self.cutoffs, tuple)
        return (*self.cutoffs, self.V)

    @property
    def _head(self) -> Softmax:
        return Softmax(self.D_h, self.d, self._bounds[0] + len(self._bounds) - 1, self.tied)

    @property
    def _clusters(self) -> list[_Cluster]:
        found = []
        for k, (first, stop) in enumerate(itertools.pairwise(self._bounds), 1):
            width = cutoffs.width(k, self.D_h, self.factor)
            own = Softmax(width, width, stop - first, self.tied and width == self.d)
            found.append(_Cluster(k, first, stop, own))
        return found

    def shapes(self) -> Shapes:
        D_h, result = Axis(self.D_h, "D_h"), self._head.shapes()
        if self.tied:
            result["E_c"] = (Axis(len(self._clusters), "C"), Axis(self.d, "d"))
        for k, _, _, own in self._clusters:
            m, V = Axis(own.D_h, f"m_{k}"), Axis(own.V, f"V_{k}")
            result |= {f"P_{k}": (D_h, m)} | ({} if own.tied else {f"U_{k}": (m, V)}) | {f"b2_{k}": (V,)}
        return result

    def init(self, dtype: DTypeLike, generator: np.random.Generator) -> Arrays:
        """Matrices uniform in +-1/sqrt(their rows), E_c in +-1/sqrt(d); biases 0."""
        result = self._head.init(dtype, generator)
        if self.tied:
            result["E_c"] = initial.uniform((len(self._clusters), self.d), self.d, dtype, generator)
        for k, _, _, own in self._clusters:
            result |= {f"{name}_{k}": value for name, value in own.init(dtype, generator).items()}
            result[f"P_{k}"] = initial.uniform((self.D_h, own.D_h), self.D_h, dtype, generator)
        return result

    def scores(self, parameters: Arrays, rows: Rows, context: Context, details: bool = False) -> Scores:
        if details:
            packed = self.pack(parameters, context)
            return distribution.details(
                lambda h: self.log_distribution(packed, h, None, context.threads), rows, self.V
            )
        part = context.part("head")
        found = self._head.scores(self._of_head(parameters, part), self._head_rows(rows), part)
        for chosen, cluster in self._chosen(rows):
            own = self._cluster_rows(parameters, rows, chosen, cluster, context)
            part = context.part(f"cluster {cluster.k}")
            found.log_probability[chosen] += cluster.softmax.scores(
                _of(parameters, cluster), own, part
            ).log_probability
        return found

    def backward(
        self, parameters: Arrays, gradients: Arrays, rows: Rows, objective: Objective, dh: Array, context: Context
    ) -> OutputLoss:
        J = self._head_backward(parameters, gradients, rows, objective, dh, context.part("head"))
        without = {cluster.k for cluster in self._clusters}
        for chosen, cluster in self._chosen(rows):
            k, part = cluster.k, context.part(f"cluster {cluster.k}")
            without.remove(k)
            own = self._cluster_rows(parameters, rows, chosen, cluster, context)
            dp = part.workspace.take("dp", own.h.shape)
            weights, d_weights = _of(parameters, cluster), _of(gradients, cluster)
            J += cluster.softmax.backward(weights, d_weights, own, objective, dp, part).J
            from_cluster = part.workspace.take("dh", (len(chosen), self.D_h))
            h = part.workspace.take("h", from_cluster.shape)
            projection.backward(h, parameters[f"P_{k}"], dp, gradients[f"P_{k}"], from_cluster, part.part("P"))
            dh[chosen] += from_cluster
        for name in (f"{name}_{k}" for k in without for name in ("P", "U", "b2")):
            if name in gradients:
                gradients[name].fill(0)
        return OutputLoss(J)

    def pack(self, parameters: Arrays, context: Context) -> Packed:
        P, clusters = [], []
        for cluster in self._clusters:
            part = context.part(f"packed {cluster.k}")
            P.append(projection.pack(parameters[f"P_{cluster.k}"], None, part.workspace.part("P")))
            clusters.append(cluster.softmax.pack(_of(parameters, cluster), part))
        part = context.part("packed head")
        return Packed(self._head.pack(self._of_head(parameters, part), part), P, clusters, context.workspace)

    def log_distribution(
        self, packed: Packed, h: Array, history: NDArray[np.int32] | None, threads: int
    ) -> NDArray[np.float64]:
        log_a = self._head.log_distribution(packed.head, h, None, threads)
        log_y = np.empty((len(h), self.V))
        head = self._bounds[0]
        log_y[:, :head] = log_a[:, :head]
        for (k, first, stop, own), P, weights in zip(self._clusters, packed.P, packed.clusters, strict=True):
            log_q = own.log_distribution(weights, projection.step(P, h, threads), None, threads)
            log_y[:, first:stop] = log_a[:, head + k - 1, None] + log_q
        return log_y

    def draw(
        self, packed: Packed, h: Array, history: NDArray[np.int32] | None, how: Draw, threads: int
    ) -> NDArray[np.int32]:
        """Without temperature and exclusions the head or a cluster is drawn first, then a token of this cluster: what
        is left of the uniform number says which. Tokens are cumulated in the order of the whole distribution."""
        if how.temperature == 1 and how.excluded is None:
            return self._draw_cluster_first(packed, h, how, threads)
        log_y = self.log_distribution(packed, h, history, threads)
        return logits.draw(log_y.astype(packed.workspace.dtype), how, threads)

    def _draw_cluster_first(self, packed: Packed, h: Array, how: Draw, threads: int) -> NDArray[np.int32]:
        log_a = self._head.log_distribution(packed.head, h, None, threads)
        drawn, left, log_probability = distribution.drawn(log_a, how.uniforms)
        tokens = drawn.astype(np.int32)
        for (k, first, _, own), P, weights in zip(self._clusters, packed.P, packed.clusters, strict=True):
            chosen = np.flatnonzero(drawn == self._bounds[0] + k - 1)
            if len(chosen):
                p = projection.step(P, np.ascontiguousarray(h[chosen]), threads)
                token, _, log_q = distribution.drawn(own.log_distribution(weights, p, None, threads), left[chosen])
                tokens[chosen] = first + token
                log_probability[chosen] += log_q
        if how.log_probability is not None:
            how.log_probability[:] = log_probability
        return tokens

    def multiplications(self) -> int:
        """In the mean over tokens by Zipf's law."""
        in_clusters = cutoffs.multiplications(self._bounds[:-1], self.V, self.D_h, self.factor)
        return self._head.multiplications() + int(in_clusters)

    def held_bytes(self, rows: int, itemsize: int, threads: int) -> int:
        """The parts' own, h, p and their gradients, of which at most all rows are in one cluster, and a tied head's
        rows of the table."""
        clusters = [cluster.softmax for cluster in self._clusters]
        gathered = max(2 * rows * (self.D_h + own.D_h) * itemsize for own in clusters)
        parts = [self._head, *clusters]
        tied = 2 * self._head.V * self.d * itemsize if self.tied else 0
        return gathered + tied + sum(part.held_bytes(rows, itemsize, threads) for part in parts)

    def _of_head(self, parameters: Arrays, part: Context) -> Arrays:
        """The parameters of the head's softmax by its names: where it is tied, with rows of the table and E_c."""
        if not self.tied:
            return parameters
        table, head = part.workspace.take("E", (self._head.V, self.d)), self._bounds[0]
        table[:head] = parameters["E"][:head]
        table[head:] = parameters["E_c"]
        return parameters | {"E": table}

    def _head_backward(
        self, parameters: Arrays, gradients: Arrays, rows: Rows, objective: Objective, dh: Array, part: Context
    ) -> float:
        """The head's loss J; where it is tied, all of the table's gradient but that of tied clusters is written."""
        own, head = gradients, self._bounds[0]
        if self.tied:
            own = gradients | {"E": part.workspace.take("dE", (self._head.V, self.d))}
        of_head = self._of_head(parameters, part)
        J = self._head.backward(of_head, own, self._head_rows(rows), objective, dh, part).J
        if self.tied:
            gradients["E"][:head] = own["E"][:head]
            gradients["E"][head:] = 0
            gradients["E_c"][:] = own["E"][head:]
        return J

    def _head_rows(self, rows: Rows) -> Rows:
        """The head's rows: its target is the token, or its cluster."""
        targets, head = rows.targets.copy(), self._bounds[0]
        outside = targets >= head
        targets[outside] = head + np.searchsorted(self._bounds, targets[outside], side="right") - 1
        return Rows(rows.h, targets)

    def _chosen(self, rows: Rows) -> Iterator[tuple[NDArray[np.intp], _Cluster]]:
        """The rows whose target lies in a cluster, for each cluster that has some."""
        for cluster in self._clusters:
            chosen = np.flatnonzero((rows.targets >= cluster.first) & (rows.targets < cluster.stop))
            if len(chosen):
                yield chosen, cluster

    def _cluster_rows(
        self, parameters: Arrays, rows: Rows, chosen: NDArray[np.intp], cluster: _Cluster, context: Context
    ) -> Rows:
        """p_k of the chosen rows, and their targets within the cluster; their h is left as ``h`` in its workspace."""
        part = context.part(f"cluster {cluster.k}")
        h = part.workspace.take("h", (len(chosen), self.D_h))
        np.take(rows.h, chosen, axis=0, out=h)
        p = projection.forward(h, parameters[f"P_{cluster.k}"], None, part.part("P"))
        return Rows(p, rows.targets[chosen] - np.int32(cluster.first))


def _of(arrays: Arrays, cluster: _Cluster) -> Arrays:
    """The arrays of a cluster's softmax, by the names that a softmax has for them."""
    own = {"b2": arrays[f"b2_{cluster.k}"]}
    if cluster.softmax.tied:
        return own | {"E": arrays["E"][cluster.first : cluster.stop]}
    return own | {"U": arrays[f"U_{cluster.k}"]}
