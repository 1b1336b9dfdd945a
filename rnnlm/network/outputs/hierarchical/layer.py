"""The hierarchical softmax (Morin & Bengio 2005) over a Huffman tree (Mikolov et al. 2013).

The tree is that of "Distributed representations of words and phrases and their compositionality", section 2.1. The
tokens are its leaves; it has |V| - 1 inner nodes. The path of token x goes through the inner nodes n_1 (the root) ...
n_L, and from n_j on to its child 0 or 1, d_j.

    z_n(t)  = h(t) W_n' + b_n                   W: |V| - 1 x D_h    b: |V| - 1     one inner node
    y^_x(t) = prod_j s((1 - 2 d_j) z_(n_j)(t))  s: the sigmoid; s(z) + s(-z) = 1, so that y^ sums to 1
    J(t)    = - log y^_x(t)

    dJ(t)/dz_n = s(z_n) - (1 - d_j)             for n = n_j on the path of x(t), 0 for others
    dJ/dW_n = sum_t dJ(t)/dz_n h(t)    dJ/db_n = sum_t dJ(t)/dz_n    dJ/dh(t) = sum_j dJ(t)/dz_(n_j) W_(n_j)

A token costs the nodes on its path alone, some log2 |V| for a rare one and fewer for a frequent one; W has gradients
of these nodes, by rows. The tree is made of the vocabulary's counts (``tree``), which a model's file has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlm.errors import InputError
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.outputs import distribution, initial
from rnnlm.network.outputs.hierarchical import paths, tree
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

    nodes: logits.Packed
    parameters: Arrays
    workspace: Workspace


@dataclass(frozen=True)
class Hierarchical(OutputLayer[Packed]):
    """A hierarchical softmax: from D_h numbers to |V| tokens."""

    D_h: int
    d: int
    V: int
    tied: bool = False

    def __post_init__(self) -> None:
        """Raises: InputError: a vocabulary of one token, which has no tree."""
        if self.V < 2:
            raise InputError("model.output: hierarchical needs a vocabulary of at least 2 tokens; found 1")

    @property
    def sparse(self) -> tuple[str, ...]:
        return ("W",)

    def shapes(self) -> Shapes:
        nodes = Axis(self.V - 1, "nodes")
        return {"W": (nodes, Axis(self.D_h, "D_h")), "b": (nodes,)}

    def init(self, dtype: DTypeLike, generator: np.random.Generator) -> Arrays:
        """W uniform in +-1/sqrt(D_h), b = 0."""
        W = initial.uniform((self.V - 1, self.D_h), self.D_h, dtype, generator)
        return {"W": W, "b": np.zeros(self.V - 1, dtype)}

    def tables(self, counts: NDArray[np.int64], classes: NDArray[np.int32] | None = None) -> Arrays:
        return tree.tables(counts)

    def scores(self, parameters: Arrays, rows: Rows, context: Context, details: bool = False) -> Scores:
        if details:
            packed = self.pack(parameters, context)
            return distribution.details(
                lambda h: self.log_distribution(packed, h, None, context.threads), rows, self.V
            )
        found = Scores.zeros(len(rows.h))
        paths.score(parameters, rows, found.log_probability, context.threads)
        return found

    def backward(
        self, parameters: Arrays, gradients: Arrays, rows: Rows, objective: Objective, dh: Array, context: Context
    ) -> OutputLoss:
        J, dW = paths.backward(parameters, gradients, rows, objective.scale, dh, context)
        return OutputLoss(J, {"W": dW})

    def pack(self, parameters: Arrays, context: Context) -> Packed:
        workspace = context.workspace.part("packed")
        nodes = logits.pack(Weights(parameters["W"], parameters["b"], tied=True), workspace)
        return Packed(nodes, parameters, workspace)

    def log_distribution(
        self, packed: Packed, h: Array, history: NDArray[np.int32] | None, threads: int
    ) -> NDArray[np.float64]:
        z: Array = packed.workspace.take("z", (len(h), self.V - 1))
        logits.step(packed.nodes, h, z, threads)
        return paths.log_distribution(packed.parameters, z, threads)

    def draw(
        self, packed: Packed, h: Array, history: NDArray[np.int32] | None, how: Draw, threads: int
    ) -> NDArray[np.int32]:
        """Without temperature and exclusions by a walk from the root, which asks for the nodes on its way alone."""
        if how.temperature == 1 and how.excluded is None:
            log_probability = np.empty(len(h)) if how.log_probability is None else how.log_probability
            return paths.walk(packed.parameters, h, how.uniforms, log_probability)
        log_y = self.log_distribution(packed, h, history, threads)
        return logits.draw(log_y.astype(packed.workspace.dtype), how, threads)

    def multiplications(self) -> int:
        """In the mean over tokens by Zipf's law."""
        return int(self.D_h * tree.mean_length(self.V))

    def held_bytes(self, rows: int, itemsize: int, threads: int) -> int:
        """The decisions of each row: their node, side, order, row and dJ/dz."""
        return int(rows * tree.mean_length(self.V)) * (32 + itemsize)
