"""The LSTM (Hochreiter & Schmidhuber 1997; forget gates: Gers, Schmidhuber & Cummins 2000).

    [z_i z_f z_g z_o](t) = h(t-1) H + e(t) I + b1       I: d x 4 D_h   H: D_h x 4 D_h   b1: 4 D_h
    i = sigmoid(z_i)   f = sigmoid(z_f)   g = tanh(z_g)   o = sigmoid(z_o)
    c(t) = f o c(t-1) + i o g                            h(t) = o o tanh(c(t))

(o: the elementwise product.) Blocks stand in PyTorch's order, i f g o. Options:

    peepholes       z_i and z_f get c(t-1) o P_i and c(t-1) o P_f, z_o gets c(t) o P_o  (Gers & Schmidhuber 2000)
    coupled_gates   i = 1 - f; the blocks are f g o, P's rows f o                       (Greff et al. 2017, "CIFG")

Backward, with dJ/dc(t) first what step t+1 sends:

    dJ/dz_o = dJ/dh o tanh(c) o o o (1 - o)
    dJ/dc(t) += dJ/dh o o o (1 - tanh(c)^2)  (+ dJ/dz_o o P_o)
    dJ/dz_g = dJ/dc o i o (1 - g^2)
    dJ/dz_i = dJ/dc o g o i (1 - i)          dJ/dz_f = dJ/dc o c(t-1) o f (1 - f)
                                             coupled:  dJ/dc o (c(t-1) - g) o f (1 - f)
    dJ/dc(t-1) = dJ/dc o f  (+ dJ/dz_i o P_i + dJ/dz_f o P_f)
    dJ/dh(t-1) gets dJ/dz H'                 dJ/dP_i = sum_t dJ/dz_i o c(t-1), and so on

The state of a stream is h and c behind one another, 2 D_h numbers. Where `reset[t]` is set, step t sees the initial
state and sends nothing back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise.activations import sigmoid, tanh
from rnnlm.kernels.elementwise.rows import add, clear, copy
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_rows
from rnnlm.kernels.matmul.layout import Numbers, block_count, block_of
from rnnlm.kernels.matmul.layout import Packed as Operand
from rnnlm.kernels.matmul.pack import fill_rows
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context
from rnnlm.network.cells import initializers, recurrence
from rnnlm.network.cells.recurrence import (
    Part,
    add_state,
    begin,
    begin_back,
    carry_state,
    clear_part,
    copy_part,
    fill_delta,
    read_inputs,
    send_back,
    step_rows,
)
from rnnlm.network.protocols import Array, Arrays, Axis, Cell, CellGradients, Initializer, Inputs, Shapes


class Trace(NamedTuple):
    """The trace: what `forward` leaves for `backward`; lives until the next window."""

    h: np.ndarray  # T x B x D_h: h(t)
    previous: np.ndarray  # T x B x D_h: h(t-1) as step t saw it
    c: np.ndarray  # T x B x D_h: c(t)
    c_previous: np.ndarray  # T x B x D_h: c(t-1) as step t saw it
    gates: np.ndarray  # T x B x 4 D_h: i f g o


class Packed(NamedTuple):
    """Packed weights, for one token at a time."""

    projection: recurrence.Projection
    packed_H: Operand  # a block's panels a gate
    P: np.ndarray


class _CellState(NamedTuple):
    """c before the window, and the initial c, beside those of h."""

    state: np.ndarray  # B x D_h
    initial: np.ndarray  # D_h


@dataclass(frozen=True)
class LSTM(Cell[Trace, Packed]):
    """Long short-term memory: d numbers in, D_h units."""

    d: int
    D_h: int
    peepholes: bool = False
    coupled_gates: bool = False
    forget_bias: float = 1.0

    @property
    def state_size(self) -> int:
        return 2 * self.D_h

    @property
    def projection(self) -> int:
        return (3 if self.coupled_gates else 4) * self.D_h

    def multiplications(self, distinct: int, places: int) -> int:
        return self.projection * (self.d * distinct + self.D_h * places)

    def shapes(self) -> Shapes:
        d, D_h = Axis(self.d, "d"), Axis(self.D_h, "D_h")
        gates = self.projection // self.D_h
        blocks = Axis(self.projection, f"{gates} D_h")
        result: Shapes = {"I": (d, blocks), "H": (D_h, blocks), "b1": (blocks,)}
        return result | ({"P": (Axis(gates - 1, "gates"), D_h)} if self.peepholes else {})

    def init(self, generator: np.random.Generator, initializer: Initializer | None = None) -> Arrays:
        """Initial weights uniform in +-1/sqrt(D_h), as PyTorch has them; biases 0, those of the forget gates
        `forget_bias` (Jozefowicz et al. 2015)."""
        bound = 1 / np.sqrt(self.D_h)
        result: Arrays = {name: generator.uniform(-bound, bound, shape) for name, shape in self.shapes().items()}
        result["b1"][:] = 0
        forget = 0 if self.coupled_gates else self.D_h
        result["b1"][forget : forget + self.D_h] = self.forget_bias
        if initializer is not None:
            shapes = {name: result[name].shape for name in ("I", "H")}
            result |= initializers.draw(initializer, shapes, self.D_h, generator)
        return result

    def forward(self, parameters: Arrays, inputs: Inputs, context: Context) -> Trace:
        I, H, b1 = (parameters[name] for name in ("I", "H", "b1"))
        (steps, batch), hidden = inputs.read.shape, self.D_h
        h, c = (recurrence.new_states(name, steps, inputs, hidden, context) for name in ("h", "c"))
        trace = Trace(*h, *c, context.workspace.take("gates", (steps, batch, self.projection)))
        h0, c0 = (np.ascontiguousarray(part) for part in (inputs.state[:, :hidden], inputs.state[:, hidden:]))
        window = recurrence.steps_of(inputs._replace(state=h0, initial=inputs.initial[:hidden]), I, b1, context)
        cells = _CellState(c0, inputs.initial[hidden:])
        products = recurrence.forward_products(H, batch, context)
        _recur(context.threads, window, cells, H, _peepholes(parameters), products, trace)
        return trace

    def state_after(self, trace: Trace, step: int) -> Array:
        return np.concatenate([trace.h[step], trace.c[step]], axis=1)

    def backward(
        self, parameters: Arrays, gradients: Arrays, inputs: Inputs, trace: Trace, dh: Array, context: Context
    ) -> CellGradients:
        """The trace's gates become dJ/dz."""
        I, H, P = parameters["I"], parameters["H"], _peepholes(parameters)
        steps, batch, hidden = dh.shape
        dh0, dc = (context.workspace.take(name, (batch, hidden)) for name in ("dh0", "dc"))
        products = recurrence.backward_products(H, batch, context)
        _recur_back(context.threads, trace, inputs.reset, H, P, products, dh, _StateGradient(dh0, dc))
        if P.size:
            _peepholes_back(context.threads, trace.gates, trace.c_previous, trace.c, gradients["P"])
        d_projected = recurrence.new_projected_gradient(inputs, self.projection, context)
        into = recurrence.weight_gradients(gradients, d_projected)
        recurrence.weights_back(trace.gates, trace.previous, inputs.read, into, 0, context)
        de = recurrence.inputs_back(I, gradients["I"], inputs, d_projected, context)
        return CellGradients(de, np.concatenate([dh0, dc], axis=1))

    def pack(self, parameters: Arrays, context: Context) -> Packed:
        projection = recurrence.pack_projection(parameters["I"], parameters["b1"], context)
        packed_H = recurrence.pack_state_weights(parameters["H"], context)
        return Packed(projection, packed_H, _peepholes(parameters))

    def project(self, packed: Packed, e: Array, projected: Array, threads: int) -> None:
        recurrence.project(packed.projection, e, projected, threads)

    def step(self, packed: Packed, projected: Array, state: Array, new: Array, threads: int) -> Array:
        h = np.empty((len(state), self.D_h), state.dtype)
        threads = recurrence.threads_for(projected.size * self.D_h, threads)
        _step(threads, packed.packed_H, packed.P, projected, state, new, h)
        return h


class _StateGradient(NamedTuple):
    """dJ/dh and dJ/dc of the state before the window, B x D_h each."""

    dh0: np.ndarray
    dc: np.ndarray  # in the loop: dJ/dc(t)


def _peepholes(parameters: Arrays) -> Array:
    """P, or no rows of it."""
    found = parameters.get("P")
    return np.empty((0, 0), parameters["H"].dtype) if found is None else found


@parallel
def _recur(thread, steps, cells, H, P, products, trace):
    """The loop over time; each thread has its own streams, or its own columns of h."""
    batch, hidden = steps.state.shape
    blocks = block_count(products.packed)
    part = begin(thread, H, products, batch)
    start, stop = part.start, part.stop
    h, previous, c, c_previous, gates = trace.h, trace.previous, trace.c, trace.c_previous, trace.gates
    for t in range(h.shape[0]):
        carry_state(steps.state if t == 0 else h[t - 1], steps.reset[t], steps.initial, part, previous[t])
        carry_state(cells.state if t == 0 else c[t - 1], steps.reset[t], cells.initial, part, c_previous[t])
        read_inputs(steps.projected, steps.read[t], part, hidden, blocks, gates[t])
        before, rows = previous[t, part.first : part.last], step_rows(products.rows, t, part)
        fill_rows(before, start, stop, rows)
        if products.by_columns:
            wait(thread)
        add_state(before, rows, part, products.packed, 0, blocks, gates[t, part.first : part.last])
        for b in range(part.first, part.last):
            own_c, own_h = c[t, b, start:stop], h[t, b, start:stop]
            _cell(gates[t, b], hidden, part, P, c_previous[t, b, start:stop], own_c, own_h)


@jit
def _cell(z, hidden, part, P, before, c, h):
    """One stream's columns: z (4 D_h, or 3 D_h where the gates are coupled) becomes i f g o; c(t) and h(t)."""
    start, stop = part.start, part.stop
    coupled = z.size == 3 * hidden
    at = start if coupled else hidden + start
    f, g, o = (
        z[at : at + c.size], z[at + hidden : at + hidden + c.size], z[at + 2 * hidden : at + 2 * hidden + c.size],
    )  # fmt: skip
    i = z[start : start + c.size]  # f itself where the gates are coupled
    rows = P.shape[0]
    if rows > 0:
        if not coupled:
            _add_product(before, P[0, start:stop], i)
        _add_product(before, P[rows - 2, start:stop], f)
    _sigmoid(f)
    _tanh(g)
    one = z.dtype.type(1)
    if coupled:
        for j in range(c.size):
            c[j] = f[j] * before[j] + (one - f[j]) * g[j]
    else:
        _sigmoid(i)
        for j in range(c.size):
            c[j] = f[j] * before[j] + i[j] * g[j]
    if rows > 0:
        _add_product(c, P[rows - 1, start:stop], o)
    _sigmoid(o)
    for j in range(c.size):
        h[j] = o[j] * tanh(c[j])


@jit
def _add_product(a, b, z):
    """z += a o b, rows."""
    for j in range(z.size):
        z[j] += a[j] * b[j]


@jit
def _sigmoid(z):
    """z := sigmoid(z), a row."""
    for j in range(z.size):
        z[j] = sigmoid(z[j])


@jit
def _tanh(z):
    """z := tanh(z), a row."""
    for j in range(z.size):
        z[j] = tanh(z[j])


@parallel
def _recur_back(thread, trace, reset, H, P, products, dh, state_gradient):
    """Undoes `_recur`: gates become dJ/dz; dc is dJ/dc(t), in the end that of the state before the window."""
    steps, batch, hidden = dh.shape
    part = begin_back(thread, H, products, batch)
    start, stop = part.start, part.stop
    sent, dc, gates = products.result, state_gradient.dc, trace.gates
    clear_part(sent, part)
    clear_part(dc, part)
    for t in range(steps - 1, -1, -1):
        for b in range(part.first, part.last):
            before, c = trace.c_previous[t, b, start:stop], trace.c[t, b, start:stop]
            add(dh[t, b, start:stop], sent[b, start:stop])  # dJ/dh(t)
            _cell_back(gates[t, b], hidden, part, P, before, c, sent[b, start:stop], dc[b, start:stop])
            if reset[t, b]:
                clear(dc[b, start:stop])
        delta, rows = gates[t, part.first : part.last], step_rows(products.rows, t, part)
        fill_delta(delta, part, hidden, rows)
        if products.by_columns:
            wait(thread)
        send_back(delta, rows, reset[t], products.packed, part, sent)  # dJ/dh(t-1) += dJ/dz(t) H'
    copy_part(sent, part, state_gradient.dh0)


@jit
def _cell_back(z, hidden, part, P, before, c, dh, dc):
    """Undoes `_cell`: z holds i f g o and becomes dJ/dz; dc comes as what step t+1 sent and becomes dJ/dc(t-1)."""
    start, stop = part.start, part.stop
    coupled, one = z.size == 3 * hidden, z.dtype.type(1)
    at = start if coupled else hidden + start
    f, g, o = (
        z[at : at + c.size], z[at + hidden : at + hidden + c.size], z[at + 2 * hidden : at + 2 * hidden + c.size],
    )  # fmt: skip
    rows = P.shape[0]
    for j in range(c.size):
        u = tanh(c[j])
        dc[j] += dh[j] * o[j] * (one - u * u)
        o[j] = dh[j] * u * o[j] * (one - o[j])
    if rows > 0:
        _add_product(o, P[rows - 1, start:stop], dc)
    # Loops over few arrays: with more of them LLVM gives up proving that they do not overlap, and vectors with it.
    if coupled:  # i = 1 - f
        for j in range(c.size):
            F, G = f[j], g[j]
            f[j] = dc[j] * (before[j] - G) * F * (one - F)
            g[j] = dc[j] * (one - F) * (one - G * G)
            dc[j] *= F
    else:
        i = z[start : start + c.size]
        for j in range(c.size):
            I, G = i[j], g[j]
            i[j] = dc[j] * G * I * (one - I)
            g[j] = dc[j] * I * (one - G * G)
        for j in range(c.size):
            F = f[j]
            f[j] = dc[j] * before[j] * F * (one - F)
            dc[j] *= F
        if rows > 0:
            _add_product(i, P[0, start:stop], dc)
    if rows > 0:
        _add_product(f, P[rows - 2, start:stop], dc)


@parallel
def _peepholes_back(thread, delta, before, c, dP):
    """dP (gates x D_h) = sum_t dJ/dz o c(t-1), for the output gate o c(t). Partitioned by columns. delta: T x B x 4
    D_h; before, c: T x B x D_h."""
    steps, batch, hidden = c.shape
    rows = dP.shape[0]
    start, stop = partition(thread, hidden, 2 * LANES)
    for row in range(rows):
        own = dP[row, start:stop]
        clear(own)
        # P's rows are those of z but for g, which stands before the last.
        left = (rows if row == rows - 1 else row) * hidden
        for t in range(steps):
            for b in range(batch):
                seen = c[t, b, start:stop] if row == rows - 1 else before[t, b, start:stop]
                _add_product(delta[t, b, left + start : left + stop], seen, own)


@parallel
def _step(thread, packed_H, P, z, state, new, h):
    """One token: state and new are B x 2 D_h, h is B x D_h; z comes as e I + b1, B x 4 D_h. Each thread has its own
    columns."""
    batch, hidden = h.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    before = state[:, :hidden]
    for block in range(block_count(packed_H)):
        left = block * hidden
        own = z[:, left : left + hidden]
        multiply_rows(Numbers(before), hidden, block_of(packed_H, block), start, stop, own, True)
    for b in range(batch):
        c = slice(hidden + start, hidden + stop)
        _cell(z[b], hidden, Part(0, batch, start, stop), P, state[b, c], new[b, c], h[b, start:stop])
        copy(h[b, start:stop], new[b, start:stop])
