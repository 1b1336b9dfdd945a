"""Typed interfaces of the two extension points: the recurrent cell and the output layer.

A window is T steps of B parallel streams. Row vectors: h(t) is 1 x D_h, e(t) is 1 x d; |V| tokens in the vocabulary.
A layer is an immutable object that holds its sizes and options and no weights: `parameters` come with every call, as
arrays by name. What `forward` leaves for `backward` is its trace, which lives until the next window.

``cells.CELLS`` and ``outputs.OUTPUTS`` name the layers that a configuration can ask for. ``network.Network`` takes
any object that has these methods.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlm.kernels.workspace import Context

Array = NDArray[Any]
# Parameters, gradients or tables of one layer, by name.
Arrays = dict[str, Array]


class Axis(int):
    """The length of one axis of a parameter, with its name: V (a row or column a token), d, D_h ..."""

    name: str

    def __new__(cls, size: int, name: str) -> Axis:
        axis = super().__new__(cls, size)
        axis.name = name
        return axis

    def __reduce__(self) -> tuple[type[Axis], tuple[int, str]]:
        """So that it can be copied."""
        return Axis, (int(self), self.name)


Shapes = dict[str, tuple[Axis, ...]]


class Initializer(NamedTuple):
    """An initializer of a cell's matrices, in place of the cell's own; see ``cells.initializers``."""

    type: str  # uniform, xavier, orthogonal, identity
    scale: float = 0.1  # of uniform: the largest weight


# -- recurrent cells


class Inputs(NamedTuple):
    """Input of a recurrent layer: one window.

    e and read: n different input vectors, and which of them each place reads. For the first layer these are the
    window's distinct tokens, so each is projected once and its gradient is summed before it goes back.
    """

    e: Array  # n x d
    read: NDArray[np.int32]  # T x B, the row of e that each place reads
    reset: NDArray[np.bool_]  # T x B: the state is `initial` again before this step
    state: Array  # B x S, the state before the window
    initial: Array  # S, the state that a text begins with


class CellTrace(Protocol):
    """The trace of any cell; a state has S >= D_h numbers."""

    @property
    def h(self) -> Array:
        """h(t), what goes up: T x B x D_h."""

    @property
    def previous(self) -> Array:
        """h(t-1) as step t saw it, T x B x D_h: `initial` after a reset."""


class CellGradients(NamedTuple):
    """Gradients that a cell's backward pass sends on."""

    de: Array  # n x d, dJ/de of each different input, summed over the places that read it
    d_state: Array  # B x S, dJ/d(state before the window)


CellTraceT = TypeVar("CellTraceT", bound=CellTrace)
PackedT = TypeVar("PackedT")


class Cell(Protocol[CellTraceT, PackedT]):
    """A recurrent layer: forward and backward over a window, and one token at a time.

    A cell inherits from this class, so that mypy holds it to the interface and it has the defaults below.
    """

    d: int  # the size of its input
    D_h: int  # the size of its output h(t)

    @property
    def state_size(self) -> int:
        """S, numbers of a stream's state."""
        return self.D_h

    @property
    def recurrent(self) -> tuple[str, ...]:
        """The parameters that multiply the state, of which recurrent dropout (DropConnect) drops numbers."""
        return ("H",)

    @property
    @abstractmethod
    def projection(self) -> int:
        """The width of a projected input: how many numbers `project` makes of one input."""

    @property
    def held(self) -> int:
        """About how many numbers training holds for each step of a stream, its input apart."""
        return 3 * self.state_size + 4 * self.projection

    @abstractmethod
    def multiplications(self, distinct: int, places: int) -> int:
        """Multiplications of the products of a forward pass: `distinct` inputs, read at `places` places (T B)."""

    @abstractmethod
    def shapes(self) -> Shapes:
        """Its parameters' shapes by name."""

    @abstractmethod
    def init(self, generator: np.random.Generator, initializer: Initializer | None = None) -> Arrays:
        """Initial parameters, float64; `initializer`: of its matrices, None: the cell's own."""

    @abstractmethod
    def forward(self, parameters: Arrays, inputs: Inputs, context: Context) -> CellTraceT:
        """The forward pass: h(t) of every step of a window."""

    def state_after(self, trace: CellTraceT, step: int) -> Array:
        """The state of every stream after a step of the window, B x S, a copy."""
        return trace.h[step].copy()

    @abstractmethod
    def backward(
        self, parameters: Arrays, gradients: Arrays, inputs: Inputs, trace: CellTraceT, dh: Array, context: Context
    ) -> CellGradients:
        """The backward pass: the gradient of every parameter, of the inputs and of the state before the window.

        Args:
            parameters, inputs: as `forward` had them.
            gradients: by name; written, not added to.
            dh: T x B x D_h, dJ/dh(t) from above; may be written over, as the trace's arrays may but for those that
                `state_after` reads.
        """

    @abstractmethod
    def pack(self, parameters: Arrays, context: Context) -> PackedT:
        """The packed weights that `project` and `step` read; the weights do not change any more."""

    @abstractmethod
    def project(self, packed: PackedT, e: Array, projected: Array, threads: int) -> None:
        """The projected inputs of a step, n x `projection`, for the n rows of e; written to `projected`."""

    @abstractmethod
    def step(self, packed: PackedT, projected: Array, state: Array, new: Array, threads: int) -> Array:
        """One step of every stream.

        Args:
            projected: B x `projection`; may be written over.
            state, new: B x S, the state before and after; not the same array.

        Returns:
            h(t), B x D_h.
        """


# -- output layers


class Rows(NamedTuple):
    """Input of an output layer: steps and streams below one another, N rows."""

    h: Array  # N x D_h
    targets: NDArray[np.int32]  # N, the token that came
    history: NDArray[np.int32] | None = None  # N x n, the tokens before it, the oldest first, -1: none

    def some(self, chosen: NDArray[np.bool_]) -> Rows:
        """Those that are chosen (N)."""
        return Rows(self.h[chosen], self.targets[chosen], None if self.history is None else self.history[chosen])


class Scores(NamedTuple):
    """Scores of each row's target, and the most probable token."""

    log_probability: NDArray[np.float64]  # N, log y^_x in nats
    rank: NDArray[np.int64]  # N, 1 + the tokens that are more probable
    entropy: NDArray[np.float64]  # N, of y^, in nats
    alternative: NDArray[np.int64]  # N, the most probable token, x where its rank is 1
    alternative_log_probability: NDArray[np.float64]  # N, log y^ of that, in nats
    log_normalizer: NDArray[np.float64]  # N, log Z, of an `OutputLayer.self_normalised` layer; also without details

    @classmethod
    def zeros(cls, shape: int | tuple[int, ...]) -> Scores:
        """Room for them, of N or T x B."""
        rank, alternative = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        return cls(np.zeros(shape), rank, np.zeros(shape), alternative, np.zeros(shape), np.zeros(shape))


class Objective(NamedTuple):
    """The objective of training: scale * sum of J over the rows, with label smoothing."""

    scale: float  # 1 / B: J is summed over time and averaged over the streams
    label_smoothing: float = 0.0  # share of each target that is spread evenly over the vocabulary
    draw: tuple[int, int] | None = None  # (seed, window) of training, for a layer that draws; None: nothing is drawn


# The tokens whose rows have a gradient (n int32, each once), and the gradient of each row.
RowGradients = tuple[NDArray[np.int32], Array]


class OutputLoss(NamedTuple):
    """The loss, and the gradients that come by rows, of an output layer's backward pass."""

    J: float  # sum over the rows, in nats, not scaled and without label smoothing
    rows: dict[str, RowGradients] | None = None  # gradients of the parameters named in `sparse`


class Draw(NamedTuple):
    """Settings of a draw from y^."""

    temperature: float  # 0: the most probable token
    uniforms: NDArray[np.float64]  # B, each in [0, 1): which token of the cumulated probabilities
    excluded: NDArray[np.int64] | None = None  # tokens that are never drawn, not all of them; None: none
    log_probability: NDArray[np.float64] | None = None  # B, written: log y^ (untempered) of what is drawn


class OutputLayer(Protocol[PackedT]):
    """From h(t) to the probabilities of the next token y^(t), and their loss J(t) = - log y^_x(t).

    Nothing here says that y^ comes from one row of |V| logits: those of ``outputs.adaptive`` come from a head and the
    clusters of a token's own.
    """

    V: int  # |V|, tokens of the vocabulary

    @property
    def history(self) -> int:
        """n, how many of the tokens before each target it asks for (``Rows.history``)."""
        return 0

    @property
    def tied(self) -> bool:
        """Whether it reads the embedding table, which it then finds among its parameters as ``E`` (|V| x d)."""
        return False

    @property
    def by_token(self) -> bool:
        """Whether each axis V of its parameters has a place a token, in the vocabulary's order and whatever the
        counts: then they can be matched by token where another vocabulary goes on with them."""
        return False

    @property
    def own_objective(self) -> bool:
        """Whether training has another loss than - log y^_x, label smoothing apart."""
        return False

    @property
    def self_normalised(self) -> bool:
        """Whether training draws log Z to one value, so that y^_x = exp(z_x) / Z is near exp(z_x) over a constant."""
        return False

    @property
    def sparse(self) -> tuple[str, ...]:
        """The parameters whose gradient `backward` returns as rows instead of writing it."""
        return ()

    @abstractmethod
    def shapes(self) -> Shapes:
        """Its own parameters' shapes by name."""

    @abstractmethod
    def init(self, dtype: DTypeLike, generator: np.random.Generator) -> Arrays:
        """Initial parameters."""

    def tables(self, counts: NDArray[np.int64], classes: NDArray[np.int32] | None = None) -> Arrays:
        """Numbers that it prepares from the vocabulary when the network is built: given with the parameters, not
        trained, and not saved, since a model's file has the vocabulary.

        Args:
            counts: how often each token stood in the training text, |V|.
            classes: the class of each token, |V|, where these come from the text or a file.
        """
        return {}

    @abstractmethod
    def scores(self, parameters: Arrays, rows: Rows, context: Context, details: bool = False) -> Scores:
        """log y^ of each row's target; all the others too with `details`, else zeros."""

    def loss(self, parameters: Arrays, rows: Rows, objective: Objective, context: Context) -> float:
        """What `backward` gives the gradient of, without `scale`: summed over the rows, in nats. It is the sum of
        - log y^_x where a layer knows no other objective (the configuration refuses it label smoothing)."""
        return -float(self.scores(parameters, rows, context).log_probability.sum())

    @abstractmethod
    def backward(
        self,
        parameters: Arrays,
        gradients: Arrays,
        rows: Rows,
        objective: Objective,
        dh: Array,
        context: Context,
    ) -> OutputLoss:
        """Loss and gradients in one pass.

        Args:
            gradients: by name, of the parameters that are not `sparse` (with ``E`` where tied); written, not added
                to.
            dh: N x D_h, dJ/dh of each row; written.
        """

    @abstractmethod
    def pack(self, parameters: Arrays, context: Context) -> PackedT:
        """The packed weights that `log_distribution` and `draw` read; the weights do not change any more."""

    @abstractmethod
    def log_distribution(
        self, packed: PackedT, h: Array, history: NDArray[np.int32] | None, threads: int
    ) -> NDArray[np.float64]:
        """log y^ of each row of h (B x D_h): B x |V|, an array of its own."""

    @abstractmethod
    def draw(
        self, packed: PackedT, h: Array, history: NDArray[np.int32] | None, how: Draw, threads: int
    ) -> NDArray[np.int32]:
        """A token for each row of h (B x D_h): B. Its log y^ is written where `how` has room for it."""

    @abstractmethod
    def multiplications(self) -> int:
        """Of the products of one row's forward pass."""

    @abstractmethod
    def held_bytes(self, rows: int, itemsize: int, threads: int) -> int:
        """About what training holds for a window of `rows` rows, of numbers of `itemsize` bytes."""
