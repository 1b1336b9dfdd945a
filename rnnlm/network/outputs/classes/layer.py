"""The class-based softmax (Goodman 2001; Mikolov, Kombrink, Burget, Černocký & Khudanpur 2011).

Each token x belongs to one class k(x) of C. Row x of W has the weights of token x, so W is U of the full softmax,
transposed: the rows of a class are gathered wherever they stand.

    c^(t)   = softmax(h(t) U_c + b_c)              1 x C       U_c: D_h x C    b_c: C      the class
    q_x(t)  = exp z_x(t) / sum_(w in k(x)) exp z_w(t)          z_w(t) = h(t) W_w' + b2_w   the token in its class
                                                               W: |V| x D_h    b2: |V|
    y^_x(t) = c^_(k(x))(t) q_x(t)
    J(t)    = - log c^_(k(x))(t) - log q_x(t)

So J is the loss of a plain softmax (``softmax``) whose target is the class, and of one over the tokens of this class
alone (``words``). W has gradients of these tokens alone, by rows. With delta2_w(t) = q_w(t) - y_w(t) for tokens w of
k(x(t)), and 0 for others,

    dJ/dW_w = sum_t delta2_w(t) h(t)     dJ/db2_w = sum_t delta2_w(t)     dJ/dh(t) = dJ_c/dh(t) + delta2(t) W

The classes come from the counts (``assignment.by_frequency``), or from the training text or a file
(``rnnlm.word_classes``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.outputs import distribution, initial
from rnnlm.network.outputs.classes import assignment, words
from rnnlm.network.outputs.softmax import Softmax, logits
from rnnlm.network.outputs.softmax import layer as softmax
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

    classes: softmax.Packed
    words: logits.Packed
    parameters: Arrays
    workspace: Workspace


@dataclass(frozen=True)
class Classes(OutputLayer[Packed]):
    """A class-based softmax: from D_h numbers to |V| tokens. classes: C, None: chosen; by: where the classes come
    from, as in the configuration."""

    D_h: int
    d: int
    V: int
    tied: bool = False
    classes: int | None = None
    by: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Raises: InputError: as ``assignment.check``."""
        chosen = self.classes or assignment.choose(self.V)
        assignment.check(chosen, self.V)
        object.__setattr__(self, "classes", chosen)

    @property
    def C(self) -> int:
        """How many classes there are."""
        assert self.classes is not None
        return self.classes

    @property
    def sparse(self) -> tuple[str, ...]:
        return ("W",)

    @property
    def _classes(self) -> Softmax:
        return Softmax(self.D_h, self.d, self.C)

    def shapes(self) -> Shapes:
        D_h, C, V = Axis(self.D_h, "D_h"), Axis(self.C, "C"), Axis(self.V, "V")
        return {"U_c": (D_h, C), "b_c": (C,), "W": (V, D_h), "b2": (V,)}

    def init(self, dtype: DTypeLike, generator: np.random.Generator) -> Arrays:
        """Matrices uniform in +-1/sqrt(D_h), biases 0."""
        found = self._classes.init(dtype, generator)
        W = initial.uniform((self.V, self.D_h), self.D_h, dtype, generator)
        return {"U_c": found["U"], "b_c": found["b2"], "W": W, "b2": np.zeros(self.V, dtype)}

    def tables(self, counts: NDArray[np.int64], classes: NDArray[np.int32] | None = None) -> Arrays:
        return assignment.tables(assignment.by_frequency(counts, self.C) if classes is None else classes, self.C)

    def scores(self, parameters: Arrays, rows: Rows, context: Context, details: bool = False) -> Scores:
        if details:
            packed = self.pack(parameters, context)
            return distribution.details(
                lambda h: self.log_distribution(packed, h, None, context.threads), rows, self.V
            )
        found = self._classes.scores(_of_classes(parameters), _class_rows(parameters, rows), context.part("classes"))
        words.score(parameters, rows, found.log_probability, context.part("words"))
        return found

    def backward(
        self, parameters: Arrays, gradients: Arrays, rows: Rows, objective: Objective, dh: Array, context: Context
    ) -> OutputLoss:
        of_classes = self._classes.backward(
            _of_classes(parameters), _of_classes(gradients), _class_rows(parameters, rows), objective, dh,
            context.part("classes"),
        ).J  # fmt: skip
        J, dW = words.backward(parameters, gradients, rows, objective.scale, dh, context.part("words"))
        return OutputLoss(of_classes + J, {"W": dW})

    def pack(self, parameters: Arrays, context: Context) -> Packed:
        of_classes = self._classes.pack(_of_classes(parameters), context.part("packed classes"))
        workspace = context.workspace.part("packed words")
        of_words = logits.pack(Weights(parameters["W"], parameters["b2"], tied=True), workspace)
        return Packed(of_classes, of_words, parameters, workspace)

    def log_distribution(
        self, packed: Packed, h: Array, history: NDArray[np.int32] | None, threads: int
    ) -> NDArray[np.float64]:
        members, bounds = packed.parameters["members"], packed.parameters["bounds"]
        log_c = self._classes.log_distribution(packed.classes, h, None, threads)
        z: Array = packed.workspace.take("z", (len(h), self.V))
        logits.step(packed.words, h, z, threads)
        by_class, sizes = z[:, members].astype(np.float64), np.diff(bounds)
        by_class -= np.repeat(np.maximum.reduceat(by_class, bounds[:-1], axis=1), sizes, axis=1)
        log_sums = np.log(np.add.reduceat(np.exp(by_class), bounds[:-1], axis=1))
        log_y = np.empty((len(h), self.V))
        log_y[:, members] = by_class + np.repeat(log_c - log_sums, sizes, axis=1)
        return log_y

    def draw(
        self, packed: Packed, h: Array, history: NDArray[np.int32] | None, how: Draw, threads: int
    ) -> NDArray[np.int32]:
        """Without temperature and exclusions the class is drawn first, then a token of this class: what is left of
        the uniform number says which."""
        if how.temperature == 1 and how.excluded is None:
            return self._draw_class_first(packed, h, how, threads)
        log_y = self.log_distribution(packed, h, history, threads)
        return logits.draw(log_y.astype(packed.workspace.dtype), how, threads)

    def _draw_class_first(self, packed: Packed, h: Array, how: Draw, threads: int) -> NDArray[np.int32]:
        log_c = self._classes.log_distribution(packed.classes, h, None, threads)
        drawn, left, log_probability = distribution.drawn(log_c, how.uniforms)
        tokens, given = np.empty(len(h), np.int32), packed.parameters
        for row, k in enumerate(drawn):
            own = given["members"][given["bounds"][k] : given["bounds"][k + 1]]
            z = given["W"][own] @ h[row] + given["b2"][own]
            place, _, log_q = distribution.drawn(logits.log_softmax(z[None]), left[row : row + 1])
            tokens[row] = own[place[0]]
            log_probability[row] += log_q[0]
        if how.log_probability is not None:
            how.log_probability[:] = log_probability
        return tokens

    def multiplications(self) -> int:
        """In the mean over tokens by Zipf's law, with classes by frequency."""
        return int(self.D_h * (self.C + assignment.multiplied(self.V, self.C)))

    def held_bytes(self, rows: int, itemsize: int, threads: int) -> int:
        """That of the classes, and of each thread a class of twice the mean size, gathered and packed, with a block
        of rows."""
        size, block = min(self.V, 2 * -(-self.V // self.C)), min(rows, words.BLOCK)
        own = 3 * size * self.D_h + 3 * block * self.D_h + 2 * block * size
        return self._classes.held_bytes(rows, itemsize, threads) + threads * own * itemsize


def _class_rows(tables: Arrays, rows: Rows) -> Rows:
    """The rows of the softmax over classes: the target is the token's class."""
    return Rows(rows.h, tables["class"][rows.targets])


def _of_classes(arrays: Arrays) -> Arrays:
    """The arrays of the softmax over classes, by the names that a softmax has for them."""
    return {"U": arrays["U_c"], "b2": arrays["b_c"]}
