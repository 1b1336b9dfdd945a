"""The stack: embedding -> recurrent layers -> output layer, over one window. Named parameters; no maths of its own.

A window is `inputs` (T x B token ids) and `reset` (T x B: the state goes to 0 before this step). What each step
should predict, `targets`, is T x B too; only the last `loss_steps` steps have a loss. All of these are made by
``rnnlm.text.corpus``.

The parameters' names are those in ``model.safetensors``: ``embedding.table`` (|V| x d), ``cell.0.I`` (d x D_h),
``cell.0.H`` (D_h x D_h), ``cell.0.b1`` (D_h), ``cell.1.…`` with d = D_h of the layer below, ``output.U`` (D_h x |V|),
``output.b2`` (|V|).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from rnnlm import dropout, embedding
from rnnlm.buffers import Buffers
from rnnlm.cells import CELLS
from rnnlm.config import Config
from rnnlm.kernels.lanes import HAS_BFLOAT16
from rnnlm.kernels.team import threads_to_use
from rnnlm.optim import Gradients
from rnnlm.outputs import OUTPUTS

_Watched = TypeVar("_Watched")

TABLE, U, B2 = "embedding.table", "output.U", "output.b2"


def _sizes(config: Config) -> list[tuple[int, int]]:
    """What each recurrent layer reads and what it gives: d, D_h."""
    sizes = config.model.sizes
    return list(zip((config.embedding.size, *sizes[:-1]), sizes, strict=True))


def shapes(config: Config, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter, by name, in the order of the layers."""
    model = config.model
    result: dict[str, tuple[int, ...]] = {TABLE: (vocabulary, config.embedding.size)}
    for layer, (d, hidden) in enumerate(_sizes(config)):
        for name, shape in CELLS[model.cell].shapes(d, hidden, model).items():
            result[f"cell.{layer}.{name}"] = shape
    for name, shape in OUTPUTS[model.output].shapes(model.sizes[-1], vocabulary, model.tie).items():
        result[f"output.{name}"] = shape
    return result


def init(config: Config, vocabulary: int, table: np.ndarray) -> dict[str, np.ndarray]:
    """Parameters to start from, of ``train.precision``; `table` (|V| x d) is what ``rnnlm.vectors`` made."""
    model = config.model
    dtype = np.dtype(config.train.dtype)
    # A copy, always: the parameters are changed in place.
    result = {TABLE: np.array(table, dtype, order="C")}
    for layer, (d, hidden) in enumerate(_sizes(config)):
        generator = np.random.default_rng([config.train.seed, 1, layer])
        for name, value in CELLS[model.cell].init(d, hidden, model, generator).items():
            result[f"cell.{layer}.{name}"] = np.array(value, dtype, order="C")
    generator = np.random.default_rng([config.train.seed, 2])
    for name, value in OUTPUTS[model.output].init(model.sizes[-1], vocabulary, model.tie, dtype, generator).items():
        result[f"output.{name}"] = value
    return result


@dataclass
class _LayerTrace:
    """What one recurrent layer's forward leaves for its backward."""

    e: np.ndarray
    index: np.ndarray
    cell: Any  # the cell's own Trace


class Network:
    """Forward and backward over windows.

    Args:
        config: sections model, embedding and train (for precision and threads).
        parameters: by name, C-contiguous, all of one type; used in place.
        threads: number of threads; None: ``train.threads``.
    """

    def __init__(self, config: Config, parameters: dict[str, np.ndarray], threads: int | str | None = None) -> None:
        self.config = config
        self.parameters = parameters
        self.vocabulary_size, self.d = parameters[TABLE].shape
        self.dtype = parameters[TABLE].dtype
        self.workers = threads_to_use(config.train.threads if threads is None else threads)
        self.cell: Any = CELLS[config.model.cell]
        self.output: Any = OUTPUTS[config.model.output]
        self._distinct = embedding.Distinct(self.vocabulary_size)
        # Scoring multiplies in the weights' own type, whatever training rounds: a probability does not depend on the
        # processor.
        self._buffers = self._in_use = Buffers(self.dtype)
        self.bfloat16 = config.train.precision == "bfloat16" and HAS_BFLOAT16
        self._training_buffers = Buffers(self.dtype, np.uint32) if self.bfloat16 else self._buffers
        self._gradients: dict[str, np.ndarray] = {}
        self.layers = [
            {name.split(".")[2]: value for name, value in parameters.items() if name.startswith(f"cell.{layer}.")}
            for layer in range(len(config.model.sizes))
        ]

    def watch(self, wrap: Callable[[Any], _Watched]) -> tuple[_Watched, _Watched]:
        """Put what `wrap` makes of the recurrent layers' module and of the output layer's in their place."""
        cell, output = self.cell, self.output = wrap(self.cell), wrap(self.output)
        return cell, output

    def zero_state(self, batch: int) -> list[np.ndarray]:
        """The states that a text begins with, 0, one B x (the cell's state_size) a layer; of an LSTM h and c."""
        sizes = (self.cell.state_size(hidden) for hidden in self.config.model.sizes)
        return [np.zeros((batch, size), self.dtype) for size in sizes]

    def forward(
        self, inputs: np.ndarray, reset: np.ndarray, states: list[np.ndarray], mask: tuple[int, int] | None = None
    ) -> np.ndarray:
        """The last layer's h (T x B x D_h), which lives until the next call.

        Args:
            inputs: T x B int32 token ids; reset: T x B bool.
            states: those before the window, one a layer, as `zero_state` makes them.
            mask: (seed, step) of a training step, from which the dropout masks are computed; None: no dropout and no
                rounding to bfloat16 (scoring, sampling).
        """
        self._in_use = self._buffers if mask is None else self._training_buffers
        steps, batch = inputs.shape
        p = self.config.model.dropout
        self._mask = mask if p > 0 else None
        self._tokens, self._index = self._distinct(inputs)
        table = self.parameters[TABLE]
        index = self._index
        if self._mask is None:
            e = self._in_use.take("e", (self._tokens.size, self.d))
            embedding.gather(table, self._tokens, e)
        else:
            # Each place has its own mask, so each place is an input of its own.
            e = self._in_use.take("e", (steps * batch, self.d))
            embedding.gather(table, inputs.reshape(-1), e)
            dropout.apply(self.workers, e, self._dropout_key(0), p)
            index = _every_place(steps, batch)
        self._trace: list[_LayerTrace] = []
        for layer, parameters in enumerate(self.layers):
            buffers = self._in_use.part(f"cell.{layer}")
            trace = self.cell.forward(
                parameters, self.config.model, e, index, reset, states[layer], buffers, self.workers
            )
            self._trace.append(_LayerTrace(e, index, trace))
            up = h = trace.h
            if self._mask is not None:
                up = buffers.take("dropped", h.shape)
                up[:] = h
                dropout.apply(self.workers, up, self._dropout_key(layer + 1), p)
            e, index = up.reshape(steps * batch, -1), _every_place(steps, batch)
        self._reset = reset
        self._top = up
        return up

    def states_after(self, steps: int, states: list[np.ndarray]) -> list[np.ndarray]:
        """The state of every layer after the first `steps` steps of the window that `forward` saw; `states` are those
        before it."""
        if steps == 0:
            return states
        return [self.cell.state_after(trace.cell, steps - 1) for trace in self._trace]

    def hidden(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """h(t) and the h(t-1) that step t used (0 after a reset), of every layer and step of the window that
        `forward` saw: two T x B x D_h a layer, which live until the next call."""
        return [(trace.cell.h, trace.cell.previous) for trace in self._trace]

    def masks(self, steps: int, batch: int, mask: tuple[int, int]) -> list[np.ndarray] | None:
        """What `forward` with this `mask` multiplies by, T x B x d for e(t) and T x B x D_h for each layer's h(t) on
        its way up; None without dropout."""
        p = self.config.model.dropout
        if p == 0:
            return None
        found = []
        for place in range(len(self.layers) + 1):
            size = self.d if place == 0 else self.config.model.sizes[place - 1]
            ones = np.ones((steps, batch, size), self.dtype)
            dropout.apply(self.workers, ones, dropout.key(*mask, place), p)
            found.append(ones)
        return found

    def loss(self, targets: np.ndarray, loss_steps: int) -> float:
        """The sum of J(t) over the last `loss_steps` steps and all streams of the window that `forward` saw, in nats:
        what `backward` returns, without the gradients."""
        steps, batch, hidden = self._top.shape
        first, rows = steps - loss_steps, loss_steps * batch
        tied = self.config.model.tie
        log_probability, _, _ = self.output.forward(
            self._top[first:].reshape(rows, hidden),
            self.parameters[TABLE if tied else U],
            self.parameters[B2],
            tied,
            targets[first:].reshape(rows),
            self._in_use.part("output"),
            self.workers,
        )
        return -float(log_probability.sum())

    def backward(self, targets: np.ndarray, loss_steps: int) -> tuple[float, Gradients]:
        """The loss of the window that `forward` saw, and the gradient of every trainable parameter.

        The gradient is that of J = sum over the last `loss_steps` steps of J(t), averaged over the B streams.

        Returns:
            The sum of J(t) over these steps and all streams, in nats; the gradients, which live until the next call.
        """
        steps, batch, hidden = self._top.shape
        first = steps - loss_steps
        gradients = Gradients(dense=self._dense_gradients())
        tied = self.config.model.tie
        dh = self._in_use.take("dh", self._top.shape)
        dh[:first] = 0
        rows = loss_steps * batch
        loss = self.output.backward(
            self._top[first:].reshape(rows, hidden),
            self.parameters[TABLE if tied else U],
            self.parameters[B2],
            tied,
            targets[first:].reshape(rows),
            1 / batch,
            gradients.dense[TABLE if tied else U],
            gradients.dense[B2],
            dh[first:].reshape(rows, hidden),
            self._in_use.part("output"),
            self.workers,
        )
        for layer in range(len(self.layers) - 1, -1, -1):
            trace = self._trace[layer]
            if self._mask is not None:
                dropout.apply(self.workers, dh, self._dropout_key(layer + 1), self.config.model.dropout)
            own = {name: gradients.dense[f"cell.{layer}.{name}"] for name in self.layers[layer]}
            de, self.d_state = self.cell.backward(
                self.layers[layer], own, self.config.model, trace.e, trace.index, self._reset,
                trace.cell, dh, self._in_use.part(f"cell.{layer}"), self.workers,
            )  # fmt: skip
            if layer > 0:
                dh = de.reshape(steps, batch, de.shape[1])
        if self.config.embedding.trainable:
            self._embedding_back(de, gradients)
        return loss, gradients

    def _embedding_back(self, de: np.ndarray, gradients: Gradients) -> None:
        if self._mask is not None:
            dropout.apply(self.workers, de, self._dropout_key(0), self.config.model.dropout)
            by_token = self._in_use.take("de_by_token", (self._tokens.size, self.d))
            by_token[:] = 0
            embedding.scatter_add(by_token, self._index.reshape(-1), de)
            de = by_token
        if self.config.model.tie:
            embedding.scatter_add(gradients.dense[TABLE], self._tokens, de)
        else:
            gradients.rows[TABLE] = (self._tokens, de)

    def log_probabilities(
        self, targets: np.ndarray, details: bool = False
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """log y^ of each target of the window that `forward` saw, its rank and the prediction's entropy (see
        ``outputs.softmax.forward``), each T x B."""
        steps, batch, hidden = self._top.shape
        tied = self.config.model.tie
        found = self.output.forward(
            self._top.reshape(steps * batch, hidden),
            self.parameters[TABLE if tied else U],
            self.parameters[B2],
            tied,
            targets.reshape(-1),
            self._in_use.part("output"),
            self.workers,
            details,
        )
        a, b, c = (array.reshape(steps, batch) for array in found)
        return a, b, c

    def distribution(self) -> np.ndarray:
        """log y^(t) after the last step of the window that `forward` saw: B x |V|, float64."""
        tied = self.config.model.tie
        return self.output.distribution(
            self._top[-1],
            self.parameters[TABLE if tied else U],
            self.parameters[B2],
            tied,
            self._in_use.part("distribution"),
            self.workers,
        )

    def _dense_gradients(self) -> dict[str, np.ndarray]:
        """One array for each parameter but an untied embedding table, whose gradient comes as rows."""
        if not self._gradients:
            self._gradients = {
                name: np.empty_like(value)
                for name, value in self.parameters.items()
                if name != TABLE or self.config.model.tie
            }
        return dict(self._gradients)

    def _dropout_key(self, place: int) -> np.uint64:
        assert self._mask is not None
        return dropout.key(*self._mask, place)


def _every_place(steps: int, batch: int) -> np.ndarray:
    return np.arange(steps * batch, dtype=np.int32).reshape(steps, batch)
