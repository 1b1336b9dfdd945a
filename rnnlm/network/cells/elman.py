"""The Elman cell (Elman 1990; with word vectors as in Mikolov et al. 2010).

One window is T steps of B parallel streams; row vectors; step t = 0 .. T-1.

    z1(t) = h(t-1) H + e(t) I + b1        1 x D_h      H: D_h x D_h   I: d x D_h   b1: D_h
    h(t)  = f(z1(t))                      f = sigmoid | tanh | relu

    delta1(t) = dJ/dh(t) o f'(z1(t))      sigmoid: h o (1 - h)   tanh: 1 - h o h   relu: h > 0
    dJ/dh(t-1) gets delta1(t) H'          beside what the layer above sends down
    dJ/dH = sum_t h(t-1)' delta1(t)       dJ/dI = sum_t e(t)' delta1(t)       dJ/db1 = sum_t delta1(t)
    dJ/de(t) = delta1(t) I'

(o: the elementwise product.) Time convention: ``h[t]`` is h(t); ``previous[t]`` is h(t-1) as step t saw it: the state
before the window for t = 0, and the initial state for a stream whose ``reset[t]`` is set (its line has ended). Where
reset is set nothing flows from step t back to step t-1 either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise import activations
from rnnlm.kernels.elementwise.rows import copy
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_rows
from rnnlm.kernels.matmul.layout import Numbers, block_of
from rnnlm.kernels.matmul.layout import Packed as Operand
from rnnlm.kernels.matmul.pack import fill_rows
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context
from rnnlm.network.cells import initializers, recurrence
from rnnlm.network.cells.recurrence import (
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

SIGMOID, TANH, RELU = 0, 1, 2
ACTIVATIONS = {"sigmoid": SIGMOID, "tanh": TANH, "relu": RELU}


class Trace(NamedTuple):
    """The trace: what `forward` leaves for `backward`; lives until the next window."""

    h: np.ndarray  # T x B x D_h: h(t)
    previous: np.ndarray  # T x B x D_h: h(t-1) as step t saw it


class Packed(NamedTuple):
    """Packed weights, for one token at a time."""

    projection: recurrence.Projection
    packed_H: Operand


@dataclass(frozen=True)
class Elman(Cell[Trace, Packed]):
    """The Elman cell: d numbers in, D_h units, f the activation."""

    d: int
    D_h: int
    activation: Literal["sigmoid", "tanh", "relu"] = "sigmoid"

    @property
    def projection(self) -> int:
        return self.D_h

    def multiplications(self, distinct: int, places: int) -> int:
        return self.D_h * (self.d * distinct + self.D_h * places)

    def shapes(self) -> Shapes:
        d, D_h = Axis(self.d, "d"), Axis(self.D_h, "D_h")
        return {"I": (d, D_h), "H": (D_h, D_h), "b1": (D_h,)}

    def init(self, generator: np.random.Generator, initializer: Initializer | None = None) -> Arrays:
        """Initial weights uniform in +-1/sqrt(rows), H orthogonal (Saxe et al. 2014), b1 = 0.

        A sigmoid network starts as the tanh network that it is in disguise: with h = (1 + g) / 2,

            g(t) = tanh(g(t-1) H/4 + e(t) I/2 + (b1 + s/2) / 2)      s: the sum of the rows of H

        So H is four times and I twice as large, and b1 takes away what the mean h = 1/2 brings. Otherwise its units
        start saturated and its gradients vanish at once. With an `initializer` b1 = 0.
        """
        H = initializers.orthogonal(self.D_h, self.D_h, generator)
        bound = 1 / np.sqrt(self.d)
        I = generator.uniform(-bound, bound, (self.d, self.D_h))
        if initializer is not None:
            drawn = initializers.draw(initializer, {"I": I.shape, "H": H.shape}, self.D_h, generator)
            return {"I": drawn["I"], "H": drawn["H"], "b1": np.zeros(self.D_h)}
        if self.activation == "sigmoid":
            H, I = 4 * H, 2 * I
            return {"I": I, "H": H, "b1": -H.sum(axis=0) / 2}
        return {"I": I, "H": H, "b1": np.zeros(self.D_h)}

    def forward(self, parameters: Arrays, inputs: Inputs, context: Context) -> Trace:
        I, H, b1 = (parameters[name] for name in ("I", "H", "b1"))
        steps, batch = inputs.read.shape
        trace = Trace(*recurrence.new_states("h", steps, inputs, self.D_h, context))
        window = recurrence.steps_of(inputs, I, b1, context)
        products = recurrence.forward_products(H, batch, context)
        _recur(context.threads, window, H, ACTIVATIONS[self.activation], products, trace)
        return trace

    def backward(
        self, parameters: Arrays, gradients: Arrays, inputs: Inputs, trace: Trace, dh: Array, context: Context
    ) -> CellGradients:
        """dh becomes delta1."""
        I, H = parameters["I"], parameters["H"]
        steps, batch, _ = dh.shape
        d_state = context.workspace.take("d_state", (batch, self.D_h))
        products = recurrence.backward_products(H, batch, context)
        _recur_back(context.threads, trace.h, inputs.reset, H, ACTIVATIONS[self.activation], products, dh, d_state)
        d_projected = recurrence.new_projected_gradient(inputs, self.D_h, context)
        into = recurrence.weight_gradients(gradients, d_projected)
        recurrence.weights_back(dh, trace.previous, inputs.read, into, 0, context)
        return CellGradients(recurrence.inputs_back(I, gradients["I"], inputs, d_projected, context), d_state)

    def pack(self, parameters: Arrays, context: Context) -> Packed:
        projection = recurrence.pack_projection(parameters["I"], parameters["b1"], context)
        return Packed(projection, recurrence.pack_state_weights(parameters["H"], context))

    def project(self, packed: Packed, e: Array, projected: Array, threads: int) -> None:
        recurrence.project(packed.projection, e, projected, threads)

    def step(self, packed: Packed, projected: Array, state: Array, new: Array, threads: int) -> Array:
        threads = recurrence.threads_for(state.size * self.D_h, threads)
        _step(threads, packed.packed_H, ACTIVATIONS[self.activation], projected, state, new)
        return new


@parallel
def _recur(thread, steps, H, activation, products, trace):
    """The loop over time; each thread has its own streams, or its own columns of h."""
    batch, hidden = steps.state.shape
    part = begin(thread, H, products, batch)
    h, previous, z = trace.h, trace.previous, products.result
    for t in range(h.shape[0]):
        carry_state(steps.state if t == 0 else h[t - 1], steps.reset[t], steps.initial, part, previous[t])
        read_inputs(steps.projected, steps.read[t], part, hidden, 1, z)
        before, rows = previous[t, part.first : part.last], step_rows(products.rows, t, part)
        fill_rows(before, part.start, part.stop, rows)
        if products.by_columns:
            wait(thread)
        add_state(before, rows, part, products.packed, 0, 1, z[part.first : part.last])  # z1(t) = h(t-1) H + ...
        for b in range(part.first, part.last):
            copy(z[b, part.start : part.stop], h[t, b, part.start : part.stop])
            _activate(h[t, b, part.start : part.stop], activation)  # h(t) = f(z1(t))


@parallel
def _recur_back(thread, h, reset, H, activation, products, dh, d_state):
    """Undoes `_recur`: dh becomes delta1."""
    steps, batch, hidden = h.shape
    part = begin_back(thread, H, products, batch)
    sent = products.result
    clear_part(sent, part)
    for t in range(steps - 1, -1, -1):
        for b in range(part.first, part.last):  # delta1(t) = dJ/dh(t) o f'(z1(t))
            own = dh[t, b, part.start : part.stop]
            _activate_back(h[t, b, part.start : part.stop], sent[b, part.start : part.stop], own, activation)
        delta1, rows = dh[t, part.first : part.last], step_rows(products.rows, t, part)
        fill_delta(delta1, part, hidden, rows)
        if products.by_columns:
            wait(thread)
        send_back(delta1, rows, reset[t], products.packed, part, sent)  # dJ/dh(t-1) += delta1(t) H'
    copy_part(sent, part, d_state)


@parallel
def _step(thread, packed_H, activation, projected, h, new):
    """One token: new = f(h H + projected), all B x D_h. Each thread has its own columns."""
    start, stop = partition(thread, h.shape[1], 2 * LANES)
    for b in range(h.shape[0]):
        copy(projected[b, start:stop], new[b, start:stop])
    multiply_rows(Numbers(h), h.shape[1], block_of(packed_H, 0), start, stop, new, True)
    for b in range(h.shape[0]):
        _activate(new[b, start:stop], activation)


@jit
def _activate(z, activation):
    """z := f(z), a row."""
    if activation == SIGMOID:
        for j in range(z.size):
            z[j] = activations.sigmoid(z[j])
    elif activation == TANH:
        for j in range(z.size):
            z[j] = activations.tanh(z[j])
    else:
        zero = z.dtype.type(0)
        for j in range(z.size):
            z[j] = zero if z[j] < zero else z[j]  # a NaN stays a NaN


@jit
def _activate_back(h, sent, dh, activation):
    """dh := (dh + sent) o f'(z1), rows; f' written with h = f(z1)."""
    one, zero = h.dtype.type(1), h.dtype.type(0)
    if activation == SIGMOID:
        for j in range(h.size):
            dh[j] = (dh[j] + sent[j]) * h[j] * (one - h[j])
    elif activation == TANH:
        for j in range(h.size):
            dh[j] = (dh[j] + sent[j]) * (one - h[j] * h[j])
    else:
        for j in range(h.size):
            dh[j] = dh[j] + sent[j] if h[j] > zero else zero
