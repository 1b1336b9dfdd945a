"""The minimal gated recurrent unit, without a product over time (Feng et al. 2024).

The paper is "Were RNNs all we needed?".

    [z_u n](t) = e(t) I + b1      u = sigmoid(z_u)                    I: d x 2 D_h   b1: 2 D_h
    h(t) = (1 - u) o h(t-1) + u o n

(o: the elementwise product; u is the paper's z.) Gates and candidates do not see
the state, so all products of a window are done at once, and what is left is a scan: every number of h of every stream
runs through time by itself. There are far more of them than cores, so each thread scans its own columns.

Backward:

    dJ/dn = dJ/dh o u             dJ/dz_u = dJ/dh o (n - h(t-1)) o u (1 - u)
    dJ/dh(t-1) gets dJ/dh o (1 - u)

Where `reset[t]` is set, step t sees the initial state for h(t-1) and sends nothing back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise.activations import sigmoid
from rnnlm.kernels.elementwise.rows import add, clear
from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context
from rnnlm.network.cells import initializers, recurrence
from rnnlm.network.cells.recurrence import Part, carry_state, read_inputs, sum_by_input
from rnnlm.network.protocols import Array, Arrays, Axis, Cell, CellGradients, Initializer, Inputs, Shapes


class Trace(NamedTuple):
    """The trace: what `forward` leaves for `backward`; lives until the next window."""

    h: np.ndarray  # T x B x D_h: h(t)
    previous: np.ndarray  # T x B x D_h: h(t-1) as step t saw it
    gates: np.ndarray  # T x B x 2 D_h: u n


class _Sums(NamedTuple):
    """Where the scan back sums dJ/dz_u and dJ/dn."""

    d_projected: np.ndarray  # n x 2 D_h, by input
    db1: np.ndarray  # 2 D_h


@dataclass(frozen=True)
class MinGRU(Cell[Trace, recurrence.Projection]):
    """The minimal gated recurrent unit: d numbers in, D_h units."""

    d: int
    D_h: int

    @property
    def recurrent(self) -> tuple[str, ...]:
        return ()

    @property
    def projection(self) -> int:
        return 2 * self.D_h

    def multiplications(self, distinct: int, places: int) -> int:
        return 2 * self.D_h * self.d * distinct

    def shapes(self) -> Shapes:
        blocks = Axis(2 * self.D_h, "2 D_h")
        return {"I": (Axis(self.d, "d"), blocks), "b1": (blocks,)}

    def init(self, generator: np.random.Generator, initializer: Initializer | None = None) -> Arrays:
        """Initial weights uniform in +-1/sqrt(d); biases 0."""
        bound = 1 / np.sqrt(self.d)
        I = generator.uniform(-bound, bound, (self.d, 2 * self.D_h))
        result: Arrays = {"I": I, "b1": np.zeros(2 * self.D_h)}
        if initializer is not None:
            result |= initializers.draw(initializer, {"I": I.shape}, self.D_h, generator)
        return result

    def forward(self, parameters: Arrays, inputs: Inputs, context: Context) -> Trace:
        steps, batch = inputs.read.shape
        states = recurrence.new_states("h", steps, inputs, self.D_h, context)
        trace = Trace(*states, context.workspace.take("gates", (steps, batch, 2 * self.D_h)))
        window = recurrence.steps_of(inputs, parameters["I"], parameters["b1"], context)
        _scan(context.threads, window, trace)
        return trace

    def backward(
        self, parameters: Arrays, gradients: Arrays, inputs: Inputs, trace: Trace, dh: Array, context: Context
    ) -> CellGradients:
        """The trace's gates become dJ/dz_u and dJ/dn."""
        d_state = context.workspace.take("d_state", dh.shape[1:])
        d_projected = recurrence.new_projected_gradient(inputs, 2 * self.D_h, context)
        sums = _Sums(d_projected, gradients["b1"])
        _scan_back(context.threads, trace, inputs.reset, inputs.read, sums, dh, d_state)
        de = recurrence.inputs_back(parameters["I"], gradients["I"], inputs, d_projected, context)
        return CellGradients(de, d_state)

    def pack(self, parameters: Arrays, context: Context) -> recurrence.Projection:
        return recurrence.pack_projection(parameters["I"], parameters["b1"], context)

    def project(self, packed: recurrence.Projection, e: Array, projected: Array, threads: int) -> None:
        recurrence.project(packed, e, projected, threads)

    def step(self, packed: recurrence.Projection, projected: Array, state: Array, new: Array, threads: int) -> Array:
        _step(projected, state, new)
        return new


@parallel
def _scan(thread, steps, trace):
    """The loop over time; each thread has its own columns."""
    batch, hidden = steps.state.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    part = Part(0, batch, start, stop)
    h, previous, gates = trace.h, trace.previous, trace.gates
    for t in range(h.shape[0]):
        carry_state(steps.state if t == 0 else h[t - 1], steps.reset[t], steps.initial, part, previous[t])
        read_inputs(steps.projected, steps.read[t], part, hidden, 2, gates[t])
        for b in range(batch):
            _cell(gates[t, b], hidden, start, previous[t, b, start:stop], h[t, b, start:stop])


@jit
def _cell(z, hidden, start, before, h):
    """One stream's columns: z holds z_u n and becomes u n."""
    u, n = z[start : start + h.size], z[hidden + start : hidden + start + h.size]
    for j in range(h.size):
        u[j] = sigmoid(u[j])
    for j in range(h.size):
        h[j] = before[j] + u[j] * (n[j] - before[j])


@parallel
def _scan_back(thread, trace, reset, read, sums, dh, d_state):
    """Undoes `_scan`, and sums dJ/dz_u and dJ/dn by input."""
    steps, batch, hidden = dh.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    for b in range(batch):
        clear(d_state[b, start:stop])
    for t in range(steps - 1, -1, -1):
        below = d_state if t == 0 else dh[t - 1]
        for b in range(batch):
            own = dh[t, b, start:stop]
            _cell_back(trace.gates[t, b], hidden, start, trace.previous[t, b, start:stop], own)
            if not reset[t, b]:
                add(own, below[b, start:stop])
    flat, inputs = trace.gates.reshape((steps * batch, 2 * hidden)), read.reshape(steps * batch)
    for left in (0, hidden):
        sum_by_input(flat, inputs, sums.d_projected, sums.db1, left + start, left + stop, 0)


@jit
def _cell_back(z, hidden, start, before, dh):
    """Undoes `_cell`: z becomes dJ/dz_u dJ/dn; dh becomes what goes to h(t-1)."""
    u, n = z[start : start + dh.size], z[hidden + start : hidden + start + dh.size]
    one = dh.dtype.type(1)
    for j in range(dh.size):
        u_j = u[j]
        u[j] = dh[j] * (n[j] - before[j]) * u_j * (one - u_j)
        n[j] = dh[j] * u_j
        dh[j] *= one - u_j


@jit
def _step(z, h, new):
    """One token: new(h), B x D_h; z comes as e I + b1, B x 2 D_h."""
    for b in range(h.shape[0]):
        _cell(z[b], h.shape[1], 0, h[b], new[b])
