"""The network: embedding, recurrent layers and output layer over one window.

No maths of its own.

A window is T steps of B parallel streams (`Window`). `forward` returns what it computed as a `Trace`; from this
`scores`, `loss` and `backward` go on, with what each step should predict, `targets` (T x B). Of these only
the last `loss_steps` steps have a loss. A trace lives until the next window: its arrays are used again.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.schema import Config
from rnnlm.kernels.cpu import SCORED_MULTIPLICATIONS
from rnnlm.kernels.matmul.choice import Choice, choose
from rnnlm.kernels.matmul.layout import Numbers
from rnnlm.kernels.parallel.thread_pool import threads_to_use
from rnnlm.kernels.workspace import Context, Workspace, aligned
from rnnlm.network import history, stopwatch
from rnnlm.network.layers import dropout, embedding, layer_norm, penalties
from rnnlm.network.pace import Pace
from rnnlm.network.parameters import TABLE, Gradients, Parameters, flatten, in_order
from rnnlm.network.protocols import Array, Arrays, Cell, CellTrace, Inputs, Objective, OutputLayer, Rows, Scores
from rnnlm.network.share import Share

# The parts of an update that a stopwatch tells apart.
CELLS, OUTPUT, REST = "recurrent layers", "output layer", "embedding, dropout, windows"


class Window(NamedTuple):
    """A window, the input of a network: T steps of B streams."""

    inputs: NDArray[np.int32]  # T x B token ids
    reset: NDArray[np.bool_]  # T x B: the state is the initial one again before this step
    states: list[Array]  # before the window, as of `Network.initial_states`
    initial: list[Array] | None = None  # of each layer the state that a text begins with, S; None: the network's
    share: Share | None = None  # which streams of a larger batch these are; None: they are the batch

    @property
    def averaged(self) -> int:
        """The number of streams that the objective is averaged over."""
        return self.inputs.shape[1] if self.share is None else self.share.averaged


@dataclass(frozen=True)
class LayerTrace:
    """The trace of one recurrent layer, for its backward pass."""

    parameters: Arrays  # as they were used: some weights may be dropped
    inputs: Inputs
    cell: CellTrace
    norm: layer_norm.Trace | None


@dataclass(frozen=True)
class Trace:
    """The trace of a window: what `Network.forward` leaves; lives until the next window.

    Attributes:
        tokens: the window's different tokens, n.
        index: T x B, into `tokens`.
        read: the token of each row that was looked up: `tokens`, or every place's own.
        up: what the output layer reads, T x B x D_h.
        seen: the last n tokens at each step, T x B x n, where the output layer asks for them.
        mask: as of `Network.forward`.
    """

    window: Window
    masks: dropout.Masks | None
    tokens: NDArray[np.int32]
    index: NDArray[np.int32]
    read: NDArray[np.int32]
    layers: list[LayerTrace]
    up: Array
    seen: NDArray[np.int32] | None
    mask: tuple[int, int] | None
    workspace: Workspace

    @property
    def training(self) -> bool:
        """Whether it is one of training: with dropout and rounding, and a loss with label smoothing and penalties."""
        return self.mask is not None

    def hidden(self) -> list[tuple[Array, Array]]:
        """h(t), and the h(t-1) that step t used (of an SCRN's slow units s(t)), of every layer: two T x B x D_h."""
        return [(layer.cell.h, layer.cell.previous) for layer in self.layers]


class Applied(NamedTuple):
    """Dropout masks of a window, already scaled: 0 where something is dropped."""

    up: list[Array]  # of e(t), T x B x d, and of each layer's h(t) on its way up, T x B x D_h
    recurrent: list[Arrays]  # of each layer's recurrent weights, by name


class Network:
    """The network: forward and backward over windows. Holds parameters, settings and workspace; nothing of a window.

    Args:
        config: sections model (dropout, normalisation), embedding and train (precision, penalties, threads).
        cells: the recurrent layers, from the embedding up.
        output: the output layer.
        parameters: C-contiguous arrays, all of one type, in any order; used in place.
        threads: number of threads; None: ``train.threads``.
        tables: what ``OutputLayer.tables`` has prepared.
        initial: of each layer the state that a text begins with, S (``network.initial_state``); None: 0.
        products: how training multiplies; None: the best way here (``kernels.matmul.choice``).

    Raises:
        ValueError: a parameter is not C-contiguous, or of another type than the embedding table.
    """

    def __init__(
        self,
        config: Config,
        cells: Sequence[Cell[Any, Any]],
        output: OutputLayer[Any],
        parameters: Parameters,
        threads: int | str | None = None,
        tables: Arrays | None = None,
        initial: Sequence[Array] | None = None,
        products: Choice | None = None,
    ) -> None:
        self.config, self.cells, self.output = config, list(cells), output
        self.parameters = in_order(parameters, cells, output)
        self.tables = tables or {}
        self.table = parameters["embedding"]["table"]
        self.vocabulary_size, self.d = self.table.shape
        self.dtype = self.table.dtype
        for name, value in self.named.items():
            if value.dtype != self.dtype or not value.flags.c_contiguous:
                found = f"{value.dtype}, {'' if value.flags.c_contiguous else 'not '}C-contiguous"
                raise ValueError(f"{name}: found {found}; all parameters are {self.dtype}, C-contiguous")
        self.initial = [np.zeros(cell.state_size, self.dtype) for cell in cells] if initial is None else list(initial)
        self.threads = threads_to_use(config.train.threads if threads is None else threads)
        # For who lets several Python threads use the network: held from `forward` until the trace is read.
        self.lock = threading.Lock()
        _networks.add(self)
        self._distinct = embedding.Distinct(self.vocabulary_size)
        # Scoring multiplies in the weights' own type, whatever training rounds: a probability does not depend on the
        # processor.
        self._scoring_workspace = Workspace(self.dtype)
        self._products = products
        self._paces: dict[int, Pace] = {}  # by the number of streams
        self._gradients: dict[str, Array] = {}
        self._gradients_by_layer: dict[str, Arrays] = {}

    def __reduce__(self) -> tuple[type[Network], tuple[Any, ...]]:
        """So that it can be pickled: without its workspace, which is made anew."""
        made_of = (self.config, self.cells, self.output, self.parameters, self.threads, self.tables, self.initial)
        return Network, (*made_of, self._products)

    @cached_property
    def products(self) -> Choice:
        """How training multiplies. Scoring does not ask: it can be done wherever the model is.

        Raises:
            InputError: as ``kernels.matmul.choice.choose``.
        """
        return choose(self.config.train.precision) if self._products is None else self._products

    @cached_property
    def _training_workspace(self) -> Workspace:
        layout = self.products.layout
        return self._scoring_workspace if layout is Numbers else Workspace(self.dtype, layout)

    @property
    def named(self) -> dict[str, Array]:
        """The parameters by their flat names."""
        return flatten(self.parameters)

    @property
    def output_parameters(self) -> Arrays:
        """What the output layer reads: its own, its tables, and the embedding's as ``E`` where its weights are
        tied."""
        return self.parameters["output"] | self.tables | ({"E": self.table} if self.output.tied else {})

    def initial_states(self, batch: int) -> list[Array]:
        """The states that a text begins with: B x S of each recurrent layer, and behind them the last tokens (B x n)
        where the output layer asks for them (``network.history``)."""
        states = [np.tile(state, (batch, 1)) for state in self.initial]
        n = self.output.history
        return [*states, history.initial(n, batch, self.dtype)] if n else states

    @contextmanager
    def beginning_with(self, initial: Sequence[Array]) -> Iterator[None]:
        """Texts begin with these states (S of each layer) inside the block."""
        before, self.initial = self.initial, [state.astype(self.dtype) for state in initial]
        try:
            yield
        finally:
            self.initial = before

    def forward(
        self, window: Window, mask: tuple[int, int] | None = None, watch: stopwatch.Stopwatch = stopwatch.OFF
    ) -> Trace:
        """The forward pass over a window: every layer's h(t).

        Args:
            mask: (seed, number) of a window of training, from which the dropout masks are computed; None: no
                dropout and no rounding to bfloat16 (scoring, sampling).
        """
        with nullcontext(self.threads) if mask is not None else self._pace(window.inputs) as threads:
            return self._forward(window, mask, watch, threads)

    def _pace(self, inputs: NDArray[np.int32]) -> AbstractContextManager[int]:
        """How many threads the recurrent layers of a window take in scoring."""
        steps, batch = inputs.shape
        work = inputs.size * sum(cell.multiplications(1, 1) for cell in self.cells)
        if self.threads == 1 or work < SCORED_MULTIPLICATIONS:
            return nullcontext(1)
        return self._paces.setdefault(batch, Pace(self.threads)).window(steps)

    def _forward(
        self, window: Window, mask: tuple[int, int] | None, watch: stopwatch.Stopwatch, threads: int
    ) -> Trace:
        training = mask is not None
        workspace = self._training_workspace if training else self._scoring_workspace
        inputs = window.inputs
        steps, batch = inputs.shape
        masks = dropout.masks(self.config.model, mask, self.threads, window.share)
        tokens, index = self._distinct(inputs)
        read, places = tokens, index
        if self._drops_inputs(masks):
            # Each place has its own mask, so each place is an input of its own.
            read, places = inputs.reshape(-1), _every_place(steps, batch)
        e = workspace.take("e", (read.size, self.d))
        embedding.gather(self.table, read, e)
        if masks is not None:
            masks.words(e, read)
            if self._drops_inputs(masks):
                masks.numbers(e, 0, batch)
        layers: list[LayerTrace] = []
        up = np.empty(0)
        for layer, cell in enumerate(self.cells):
            if layer > 0:
                e, places = _flat(up), _every_place(steps, batch)
            own = workspace.part(f"cell.{layer}")
            initial = (self.initial if window.initial is None else window.initial)[layer]
            given = Inputs(e, places, window.reset, window.states[layer], initial)
            parameters = self._dropped(layer, masks, own)
            watch.lap(REST)
            trace = cell.forward(parameters, given, Context(own, threads))
            watch.lap(CELLS)
            up, norm = self._normalised(layer, trace.h, own)
            layers.append(LayerTrace(parameters, given, trace, norm))
            if masks is not None and masks.rate(layer + 1) > 0:
                if up is trace.h:
                    up = own.take("up", up.shape)
                    up[:] = trace.h
                masks.numbers(up, layer + 1, batch)
        seen = history.rows(window.states[-1], inputs, window.reset) if self.output.history else None
        watch.lap(REST)
        return Trace(window, masks, tokens, index, read, layers, up, seen, mask, workspace)

    def states_after(self, trace: Trace, steps: int) -> list[Array]:
        """The states (as `initial_states`) after the first `steps` steps of the window."""
        if steps == 0:
            return trace.window.states
        pairs = zip(self.cells, trace.layers, strict=True)
        states: list[Array] = [cell.state_after(layer.cell, steps - 1) for cell, layer in pairs]
        return states if trace.seen is None else [*states, trace.seen[steps - 1].astype(self.dtype)]

    def scores(
        self,
        trace: Trace,
        targets: NDArray[np.int32],
        details: bool = False,
        chosen: NDArray[np.bool_] | None = None,
    ) -> Scores:
        """log y^ of each target, and with `details` all of `Scores`, each T x B.

        Args:
            chosen: T x B, those that are asked for; the others are 0.
        """
        rows, shape = self._rows(trace, targets, len(targets)), targets.shape
        if chosen is None or chosen.all():
            found = self.output.scores(self.output_parameters, rows, self._output_context(trace), details)
            return Scores._make(column.reshape(shape) for column in found)
        made = Scores.zeros(shape)
        if chosen.any():
            rows = rows.some(chosen.reshape(-1))
            found = self.output.scores(self.output_parameters, rows, self._output_context(trace), details)
            for column, values in zip(made, found, strict=True):
                column[chosen] = values
        return made

    def log_distribution(self, trace: Trace) -> NDArray[np.float64]:
        """log y^(t) after the last step of the window, B x |V|."""
        context = Context(trace.workspace.part("distribution"), self.threads)
        packed = self.output.pack(self.output_parameters, context)
        seen = None if trace.seen is None else trace.seen[-1]
        return self.output.log_distribution(packed, trace.up[-1], seen, self.threads)

    def loss(self, trace: Trace, targets: NDArray[np.int32], loss_steps: int) -> float:
        """What `backward` gives the gradient of, times the number of streams: the sum of J(t) over the last
        `loss_steps` steps and all streams, in nats, and in training what is added to it (label smoothing,
        penalties)."""
        rows, context = self._rows(trace, targets, loss_steps), self._output_context(trace)
        value = self.output.loss(self.output_parameters, rows, self._objective(trace), context)
        if trace.training and self.config.train.penalties.any:
            h, before = trace.layers[-1].cell.h, self._before(trace)
            value += penalties.value(self.config.train.penalties, h, trace.up, before, trace.window.reset, loss_steps)
        return value

    def backward(
        self,
        trace: Trace,
        targets: NDArray[np.int32],
        loss_steps: int,
        complete: Callable[[str, Arrays], None] | None = None,
        watch: stopwatch.Stopwatch = stopwatch.OFF,
    ) -> tuple[float, Gradients]:
        """The loss of a window and the gradient of every trainable parameter.

        The gradient is that of J = sum over the last `loss_steps` steps of J(t), averaged over the B streams; in
        training, with label smoothing or penalties (section `train`), of J with these, see `loss`. Of a share of a
        batch (``Window.share``) it is this share's part of the sum.

        Args:
            complete: called with a layer's name and its gradients as soon as they are complete, from the output layer
                down: ``output``, ``cell.1``, ``cell.0``, and ``embedding`` where its weights are tied (else its rows
                come with the result).

        Returns:
            The sum of J(t), without smoothing and penalties, over these steps and all streams, in nats; the
            gradients, which live until the next call.
        """
        steps, batch, _ = trace.up.shape
        first = steps - loss_steps
        gradients = Gradients(dense=self._dense_gradients(), states=[np.empty(0)] * len(self.cells))
        dh = trace.workspace.take("dh", trace.up.shape)
        dh[:first] = 0
        rows = self._rows(trace, targets, loss_steps)
        own = self._gradients_of("output")
        tied = {"E": gradients.dense[TABLE]} if self.output.tied else {}
        watch.lap(REST)
        found = self.output.backward(
            self.output_parameters, own | tied, rows, self._objective(trace), dh[first:].reshape(rows.h.shape),
            self._output_context(trace),
        )  # fmt: skip
        watch.lap(OUTPUT)
        gradients.rows |= {f"output.{name}": value for name, value in (found.rows or {}).items()}
        _tell(complete, "output", own)
        if trace.training and self.config.train.penalties.any:
            penalties.add_to_dropped(self.config.train.penalties, trace.up, dh, loss_steps, trace.window.averaged)
        for layer in range(len(self.cells) - 1, -1, -1):
            de = self._layer_back(layer, trace, gradients, dh, loss_steps, complete, watch)
            if layer > 0:
                dh = de.reshape(steps, batch, de.shape[1])
        if self.config.embedding.trainable:
            self._embedding_back(de, trace, gradients)
            if self.output.tied:
                _tell(complete, "embedding", self._gradients_of("embedding"))
        watch.lap(REST)
        return found.J, gradients

    def _layer_back(
        self,
        layer: int,
        trace: Trace,
        gradients: Gradients,
        dh: Array,
        loss_steps: int,
        complete: Callable[[str, Arrays], None] | None,
        watch: stopwatch.Stopwatch,
    ) -> Array:
        """One recurrent layer with what stands above it; returns dJ/de of its inputs. dh: T x B x D_h."""
        own, cell = trace.layers[layer], self.cells[layer]
        if trace.masks is not None:
            trace.masks.numbers(dh, layer + 1, dh.shape[1])
        if own.norm is not None:
            norms = self._gradients_of(f"norm.{layer}")
            layer_norm.backward(self.parameters["norms"][layer], norms, own.norm, _flat(dh))
            _tell(complete, f"norm.{layer}", norms)
        if trace.training and layer == len(self.cells) - 1:
            before, reset = self._before(trace), trace.window.reset
            penalties.add_to_hidden(
                self.config.train.penalties, own.cell.h, before, reset, dh, loss_steps, trace.window.averaged
            )
        dense = self._gradients_of(f"cell.{layer}")
        context = Context(trace.workspace.part(f"cell.{layer}"), self.threads)
        watch.lap(REST)
        de, gradients.states[layer] = cell.backward(own.parameters, dense, own.inputs, own.cell, dh, context)
        watch.lap(CELLS)
        if trace.masks is not None:
            for number, name in enumerate(cell.recurrent):
                trace.masks.recurrent(dense[name], layer, number)
        _tell(complete, f"cell.{layer}", dense)
        return de

    def _before(self, trace: Trace) -> Array:
        """The last layer's h before the window, B x D_h."""
        return trace.window.states[len(self.cells) - 1][:, : self.cells[-1].D_h]

    def _embedding_back(self, de: Array, trace: Trace, gradients: Gradients) -> None:
        if trace.masks is not None:
            trace.masks.words(de, trace.read)
        if self._drops_inputs(trace.masks):
            assert trace.masks is not None
            trace.masks.numbers(de, 0, trace.index.shape[1])
            by_token = trace.workspace.take("de_by_token", (trace.tokens.size, self.d))
            by_token[:] = 0
            embedding.scatter_add(by_token, trace.index.reshape(-1), de)
            de = by_token
        if self.output.tied:
            embedding.scatter_add(gradients.dense[TABLE], trace.tokens, de)
        else:
            gradients.rows[TABLE] = (trace.tokens, de)

    def masks(self, inputs: NDArray[np.int32], mask: tuple[int, int]) -> Applied | None:
        """The dropout masks of `forward` with this `mask`; None without dropout."""
        masks = dropout.masks(self.config.model, mask, self.threads)
        if masks is None:
            return None
        up, recurrent = [], []
        for place, size in enumerate((self.d, *(cell.D_h for cell in self.cells))):
            ones = np.ones((*inputs.shape, size), self.dtype)
            masks.numbers(ones, place, inputs.shape[1])
            up.append(ones)
        masks.words(up[0].reshape(-1, self.d), inputs.reshape(-1))
        for layer, cell in enumerate(self.cells):
            own = {name: np.ones_like(self.parameters["cells"][layer][name]) for name in cell.recurrent}
            for number, value in enumerate(own.values()):
                masks.recurrent(value, layer, number)
            recurrent.append(own)
        return Applied(up, recurrent)

    def _drops_inputs(self, masks: dropout.Masks | None) -> bool:
        return masks is not None and masks.rate(0) > 0

    def _dropped(self, layer: int, masks: dropout.Masks | None, workspace: Workspace) -> Arrays:
        """A layer's parameters, its recurrent weights after DropConnect."""
        own = self.parameters["cells"][layer]
        if masks is None or not masks.drops_recurrent:
            return own
        dropped = {}
        for number, name in enumerate(self.cells[layer].recurrent):
            dropped[name] = workspace.take(f"dropped_{name}", own[name].shape)
            dropped[name][:] = own[name]
            masks.recurrent(dropped[name], layer, number)
        return own | dropped

    def _normalised(self, layer: int, h: Array, workspace: Workspace) -> tuple[Array, layer_norm.Trace | None]:
        """A layer's output after layer normalisation, before dropout."""
        own = self.parameters["norms"][layer]
        if not own:
            return h, None
        up = workspace.take("up", h.shape)
        return up, layer_norm.forward(own, _flat(h), _flat(up), Context(workspace.part("norm"), self.threads))

    def _objective(self, trace: Trace) -> Objective:
        smoothing = self.config.train.penalties.label_smoothing if trace.training else 0.0
        return Objective(1 / trace.window.averaged, smoothing, trace.mask)

    def _output_context(self, trace: Trace) -> Context:
        return Context(trace.workspace.part("output"), self.threads)

    def _rows(self, trace: Trace, targets: NDArray[np.int32], loss_steps: int) -> Rows:
        """The output layer's input: the rows of the last `loss_steps` steps."""
        first = len(trace.up) - loss_steps
        h = trace.up[first:].reshape(-1, trace.up.shape[2])
        seen = None if trace.seen is None else trace.seen[first:].reshape(len(h), -1)
        return Rows(h, targets[len(targets) - loss_steps :].reshape(-1), seen)

    def _dense_gradients(self) -> dict[str, Array]:
        """One array for each parameter but those whose gradient comes as rows: an untied embedding table, and what
        the output layer calls sparse."""
        if not self._gradients:
            sparse = {f"output.{name}" for name in self.output.sparse} | (set() if self.output.tied else {TABLE})
            self._gradients = {
                name: aligned(value.size, value.dtype).reshape(value.shape)
                for name, value in self.named.items()
                if name not in sparse
            }
        return dict(self._gradients)

    def _gradients_of(self, layer: str) -> Arrays:
        """The arrays named ``layer.NAME``, by NAME."""
        if layer not in self._gradients_by_layer:
            start = f"{layer}."
            own = {n.removeprefix(start): array for n, array in self._gradients.items() if n.startswith(start)}
            self._gradients_by_layer[layer] = own
        return self._gradients_by_layer[layer]


_networks: weakref.WeakSet[Network] = weakref.WeakSet()


def _unlock() -> None:
    """After a fork: the thread that held a lock is not in the child."""
    for network in _networks:
        network.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def _tell(complete: Callable[[str, Arrays], None] | None, layer: str, gradients: Arrays) -> None:
    if complete is not None:
        complete(layer, gradients)


def _flat(x: Array) -> Array:
    """T x B x D as rows."""
    return x.reshape(-1, x.shape[2])


def _every_place(steps: int, batch: int) -> NDArray[np.int32]:
    return np.arange(steps * batch, dtype=np.int32).reshape(steps, batch)
