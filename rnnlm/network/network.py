"""The stack: embedding -> recurrent layers -> output layer, over one window. Named parameters; no maths of its own.

A window is `inputs` (T x B token ids) and `reset` (T x B: the state goes to 0 before this step). What each step
should predict, `targets`, is T x B too; only the last `loss_steps` steps have a loss. All of these are made by
``rnnlm.text.corpus``.

The parameters' names are those in ``model.safetensors``: ``embedding.table`` (|V| x d), ``cell.0.I`` (d x D_h),
``cell.0.H`` (D_h x D_h), ``cell.0.b1`` (D_h), ``cell.1.…`` with d = D_h of the layer below, with layer
normalisation ``norm.0.g`` and ``norm.0.b`` (D_h), ``output.U`` (D_h x |V|), ``output.b2`` (|V|). The output layer
gets its own by their last names and, where the weights are tied, the table as ``E``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rnnlm.config.schema import Config
from rnnlm.kernels.cpu import HAS_BFLOAT16
from rnnlm.kernels.matmul import layout
from rnnlm.kernels.parallel.thread_pool import threads_to_use
from rnnlm.kernels.workspace import Workspace
from rnnlm.network.cells import CELLS
from rnnlm.network.cells import initializers as starts
from rnnlm.network.layers import dropout, embedding, penalties
from rnnlm.network.layers import layer_norm as normalization
from rnnlm.network.outputs import OUTPUTS
from rnnlm.training.optimizers.rules import Gradients

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
        if model.layer_norm:
            result |= {f"norm.{layer}.{name}": shape for name, shape in normalization.shapes(hidden).items()}
    output: Any = OUTPUTS[model.output]
    for name, shape in output.shapes(model.sizes[-1], config.embedding.size, vocabulary, model).items():
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
        start = CELLS[model.cell].init(d, hidden, model, generator)
        if model.init is not None:
            start |= {name: starts.draw(name, start[name].shape, hidden, model, generator)
                      for name in ("I", "H") if name in start}  # fmt: skip
        for name, value in start.items():
            result[f"cell.{layer}.{name}"] = np.array(value, dtype, order="C")
        if model.layer_norm:
            result |= {
                f"norm.{layer}.{name}": value.astype(dtype) for name, value in normalization.init(hidden).items()
            }
    generator = np.random.default_rng([config.train.seed, 2])
    output: Any = OUTPUTS[model.output]
    own = output.init(model.sizes[-1], config.embedding.size, vocabulary, model, dtype, generator)
    for name, value in own.items():
        result[f"output.{name}"] = value
    return result


def of(arrays: dict[str, Any], part: str) -> dict[str, Any]:
    """What is called ``part.NAME``, by NAME; part: ``cell.0``, ``norm.0``, ``output``."""
    return {name.removeprefix(f"{part}."): value for name, value in arrays.items() if name.startswith(f"{part}.")}


def of_output(config: Config, arrays: dict[str, Any]) -> dict[str, Any]:
    """What of the parameters (or of other arrays by their names) belongs to the output layer, as it calls them."""
    return of(arrays, "output") | ({"E": arrays[TABLE]} if config.model.tie else {})


@dataclass
class _LayerTrace:
    """What one recurrent layer's forward leaves for its backward."""

    parameters: dict[str, np.ndarray]  # as they were used: some weights may be dropped
    e: np.ndarray
    index: np.ndarray
    cell: Any  # the cell's own Trace
    norm: normalization.Trace | None


class Applied(NamedTuple):
    """Masks of a training step, already scaled: 0 where something is dropped."""

    up: list[np.ndarray]  # of e(t), T x B x d, and of each layer's h(t) on its way up, T x B x D_h
    weights: list[np.ndarray]  # of each layer's H


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
        self.threads = threads_to_use(config.train.threads if threads is None else threads)
        self.cell: Any = CELLS[config.model.cell]
        self.output: Any = OUTPUTS[config.model.output]
        self._distinct = embedding.Distinct(self.vocabulary_size)
        # Scoring multiplies in the weights' own type, whatever training rounds: a probability does not depend on the
        # processor.
        self._workspace = self._in_use = Workspace(self.dtype)
        self.bfloat16 = config.train.precision == "bfloat16" and HAS_BFLOAT16
        self._training_workspace = Workspace(self.dtype, layout.of("bfloat16")) if self.bfloat16 else self._workspace
        self._gradients: dict[str, np.ndarray] = {}
        layers = range(len(config.model.sizes))
        self.layers = [of(parameters, f"cell.{layer}") for layer in layers]
        self.norms = [of(parameters, f"norm.{layer}") for layer in layers]
        self.output_parameters = of_output(config, parameters)

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
        self._in_use = self._workspace if mask is None else self._training_workspace
        steps, batch = inputs.shape
        masks = self._masks = dropout.masks(self.config.model, mask, self.threads)
        self._tokens, self._index = self._distinct(inputs)
        # Where each place has its own mask, each place is an input of its own.
        self._by_place = masks is not None and self.config.model.dropout_rates[0] > 0
        self._read, index = self._tokens, self._index
        if self._by_place:
            self._read, index = inputs.reshape(-1), _every_place(steps, batch)
        e = self._in_use.take("e", (self._read.size, self.d))
        embedding.gather(self.parameters[TABLE], self._read, e)
        if masks is not None:
            masks.words(e, self._read)
            if self._by_place:
                masks.numbers(e, 0, batch)
        self._trace: list[_LayerTrace] = []
        for layer in range(len(self.layers)):
            parameters = self._dropped(layer)
            workspace = self._in_use.part(f"cell.{layer}")
            trace = self.cell.forward(
                parameters, self.config.model, e, index, reset, states[layer], workspace, self.threads
            )
            up = h = trace.h
            norm = None
            if self.config.model.layer_norm:
                up = workspace.take("up", h.shape)
                norm = normalization.forward(
                    self.norms[layer], _flat(h), _flat(up), workspace.part("norm"), self.threads
                )
            self._trace.append(_LayerTrace(parameters, e, index, trace, norm))
            if masks is not None and self.config.model.dropout_rates[layer + 1] > 0:
                if up is h:
                    up = workspace.take("up", h.shape)
                    up[:] = h
                masks.numbers(up, layer + 1, batch)
            e, index = _flat(up), _every_place(steps, batch)
        self._reset = reset
        self._top, self._training = up, mask is not None
        return up

    def states_after(self, steps: int, states: list[np.ndarray]) -> list[np.ndarray]:
        """The state of every layer after the first `steps` steps of the window that `forward` saw; `states` are those
        before it."""
        if steps == 0:
            return states
        return [self.cell.state_after(trace.cell, steps - 1) for trace in self._trace]

    def hidden(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """h(t) and the h(t-1) that step t used (0 after a reset; of an SCRN's slow units s(t)), of every layer and
        step of the window that `forward` saw: two T x B x D_h a layer, which live until the next call."""
        return [(trace.cell.h, trace.cell.previous) for trace in self._trace]

    def masks(self, inputs: np.ndarray, mask: tuple[int, int]) -> Applied | None:
        """What `forward` with this `mask` multiplies by; None without dropout."""
        masks = dropout.masks(self.config.model, mask, self.threads)
        if masks is None:
            return None
        up, weights = [], []
        for place, size in enumerate((self.d, *self.config.model.sizes)):
            ones = np.ones((*inputs.shape, size), self.dtype)
            masks.numbers(ones, place, inputs.shape[1])
            up.append(ones)
        masks.words(up[0].reshape(-1, self.d), inputs.reshape(-1))
        for layer, own in enumerate(self.layers):
            ones = np.ones_like(own.get("H", np.empty(0)))
            masks.weights(ones, layer)
            weights.append(ones)
        return Applied(up, weights)

    def _dropped(self, layer: int) -> dict[str, np.ndarray]:
        """A layer's parameters, of H the numbers that this step keeps."""
        own = self.layers[layer]
        if self._masks is None or self.config.model.dropout_weights == 0:
            return own
        H = self._in_use.part(f"cell.{layer}").take("dropped_H", own["H"].shape)
        H[:] = own["H"]
        self._masks.weights(H, layer)
        return own | {"H": H}

    def loss(self, targets: np.ndarray, loss_steps: int) -> float:
        """What `backward` gives the gradient of, times the number of streams: the sum of J(t) over the last
        `loss_steps` steps and all streams of the window that `forward` saw, in nats, and in training what is added to
        it (label smoothing, penalties)."""
        h, own_targets = self._with_loss(targets, loss_steps)
        value: float = self.output.loss(
            self.output_parameters, h, own_targets, self._label_smoothing, self._in_use.part("output"), self.threads
        )
        if self._training and self.config.train.penalises:
            value += penalties.value(self.config.train, self._trace[-1].cell.h, self._top, self._reset)
        return value

    def backward(self, targets: np.ndarray, loss_steps: int) -> tuple[float, Gradients]:
        """The loss of the window that `forward` saw, and the gradient of every trainable parameter.

        The gradient is that of J = sum over the last `loss_steps` steps of J(t), averaged over the B streams.

        In training, with label smoothing or penalties (section `train`), it is that of J with these; see `loss`.

        Returns:
            The sum of J(t), without these, over these steps and all streams, in nats; the gradients, which live until
            the next call.
        """
        steps, batch, _ = self._top.shape
        first = steps - loss_steps
        gradients = Gradients(dense=self._dense_gradients())
        dh = self._in_use.take("dh", self._top.shape)
        dh[:first] = 0
        h, own_targets = self._with_loss(targets, loss_steps)
        loss: float = self.output.backward(
            self.output_parameters,
            of_output(self.config, gradients.dense),
            h,
            own_targets,
            1 / batch,
            self._label_smoothing,
            dh[first:].reshape(h.shape),
            self._in_use.part("output"),
            self.threads,
        )
        if self._training and self.config.train.penalises:
            penalties.add_to_dropped(self.config.train, self._top, dh)
        for layer in range(len(self.layers) - 1, -1, -1):
            trace = self._trace[layer]
            if self._masks is not None:
                self._masks.numbers(dh, layer + 1, batch)
            if trace.norm is not None:
                dg_db = {name: gradients.dense[f"norm.{layer}.{name}"] for name in self.norms[layer]}
                normalization.backward(self.norms[layer], dg_db, trace.norm, _flat(dh))
            if self._training and layer == len(self.layers) - 1:
                penalties.add_to_hidden(self.config.train, trace.cell.h, self._reset, dh)
            own = {name: gradients.dense[f"cell.{layer}.{name}"] for name in self.layers[layer]}
            de, self.d_state = self.cell.backward(
                trace.parameters, own, self.config.model, trace.e, trace.index, self._reset,
                trace.cell, dh, self._in_use.part(f"cell.{layer}"), self.threads,
            )  # fmt: skip
            if self._masks is not None and "H" in own:
                self._masks.weights(own["H"], layer)
            if layer > 0:
                dh = de.reshape(steps, batch, de.shape[1])
        if self.config.embedding.trainable:
            self._embedding_back(de, gradients)
        return loss, gradients

    def _embedding_back(self, de: np.ndarray, gradients: Gradients) -> None:
        if self._masks is not None:
            self._masks.words(de, self._read)
        if self._by_place:
            assert self._masks is not None
            self._masks.numbers(de, 0, self._index.shape[1])
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
        found = self.output.forward(
            self.output_parameters,
            self._top.reshape(steps * batch, hidden),
            targets.reshape(-1),
            self._in_use.part("output"),
            self.threads,
            details,
        )
        a, b, c = (array.reshape(steps, batch) for array in found)
        return a, b, c

    def distribution(self) -> np.ndarray:
        """log y^(t) after the last step of the window that `forward` saw: B x |V|, float64."""
        found: np.ndarray = self.output.distribution(
            self.output_parameters, self._top[-1], self._in_use.part("distribution"), self.threads
        )
        return found

    @property
    def _label_smoothing(self) -> float:
        return self.config.train.label_smoothing if self._training else 0.0

    def _with_loss(self, targets: np.ndarray, loss_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """h of the last `loss_steps` steps, N x D_h, and their targets, N."""
        first = len(self._top) - loss_steps
        return self._top[first:].reshape(-1, self._top.shape[2]), targets[first:].reshape(-1)

    def _dense_gradients(self) -> dict[str, np.ndarray]:
        """One array for each parameter but an untied embedding table, whose gradient comes as rows."""
        if not self._gradients:
            self._gradients = {
                name: np.empty_like(value)
                for name, value in self.parameters.items()
                if name != TABLE or self.config.model.tie
            }
        return dict(self._gradients)


def _flat(x: np.ndarray) -> np.ndarray:
    """T x B x D as rows."""
    return x.reshape(-1, x.shape[2])


def _every_place(steps: int, batch: int) -> np.ndarray:
    return np.arange(steps * batch, dtype=np.int32).reshape(steps, batch)
