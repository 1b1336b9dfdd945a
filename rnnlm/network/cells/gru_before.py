"""The gated recurrent unit (Cho et al. 2014), its reset gate before the product.

    [z_r z_u](t) = h(t-1) [H_r H_u] + e(t) [I_r I_u] + [b1_r b1_u]      r, u = sigmoid(z_r), sigmoid(z_u)
    q(t) = r o h(t-1)                                                   n = tanh(q H_n + e(t) I_n + b1_n)
    h(t) = (1 - u) o n + u o h(t-1)                  I: d x 3 D_h   H: D_h x 3 D_h   b1: 3 D_h

(o: the elementwise product; Cho et al. write z for u, and 1 - u for it.) A step has two products, the second of which
waits for the first: ``cells.gru`` is faster, and what PyTorch has.

Backward:

    dJ/dz_n = dJ/dh o (1 - u) o (1 - n^2)            dJ/dq = dJ/dz_n H_n'
    dJ/dz_r = dJ/dq o h(t-1) o r (1 - r)             dJ/dz_u = dJ/dh o (h(t-1) - n) o u (1 - u)
    dJ/dh(t-1) gets dJ/dh o u + dJ/dq o r + [dJ/dz_r dJ/dz_u] [H_r H_u]'
    dJ/d[H_r H_u] = sum_t h(t-1)' [dJ/dz_r dJ/dz_u]  dJ/dH_n = sum_t q(t)' dJ/dz_n

Where `reset[t]` is set, step t sees the initial state for h(t-1) and sends nothing back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise.activations import sigmoid, tanh
from rnnlm.kernels.elementwise.rows import add, copy
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_rows
from rnnlm.kernels.matmul.layout import Numbers, block_of, blocks_from, depth, operand
from rnnlm.kernels.matmul.layout import Packed as Operand
from rnnlm.kernels.matmul.pack import fill_rows, pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context
from rnnlm.network.cells import initializers, recurrence
from rnnlm.network.cells.recurrence import (
    add_state,
    begin,
    carry_state,
    clear_part,
    copy_part,
    fill_delta,
    own_part,
    read_inputs,
    send_back,
    step_rows,
)
from rnnlm.network.protocols import Array, Arrays, Axis, Cell, CellGradients, Initializer, Inputs, Shapes


class Trace(NamedTuple):
    """The trace: what `forward` leaves for `backward`; lives until the next window."""

    h: np.ndarray  # T x B x D_h: h(t)
    previous: np.ndarray  # T x B x D_h: h(t-1) as step t saw it
    gates: np.ndarray  # T x B x 2 D_h: r u
    q: np.ndarray  # T x B x D_h
    n: np.ndarray  # T x B x D_h


class Packed(NamedTuple):
    """Packed weights, for one token at a time."""

    projection: recurrence.Projection
    packed_H: Operand  # 3 x panels


class _Candidates(NamedTuple):
    """How the loop back multiplies by H_n', beside its products with [H_r H_u]'."""

    packed: Operand  # panels of H_n'
    rows: Operand  # of steps, dJ/dz_n by rows
    dq: np.ndarray  # B x D_h or more: dJ/dq of one step


@dataclass(frozen=True)
class GRUBefore(Cell[Trace, Packed]):
    """The gated recurrent unit with the reset gate before the product: d numbers in, D_h units."""

    d: int
    D_h: int

    @property
    def projection(self) -> int:
        return 3 * self.D_h

    def multiplications(self, distinct: int, places: int) -> int:
        return 3 * self.D_h * (self.d * distinct + self.D_h * places)

    def shapes(self) -> Shapes:
        d, D_h, blocks = Axis(self.d, "d"), Axis(self.D_h, "D_h"), Axis(3 * self.D_h, "3 D_h")
        return {"I": (d, blocks), "H": (D_h, blocks), "b1": (blocks,)}

    def init(self, generator: np.random.Generator, initializer: Initializer | None = None) -> Arrays:
        """Initial weights uniform in +-1/sqrt(D_h), as PyTorch has them; biases 0."""
        bound = 1 / np.sqrt(self.D_h)
        result: Arrays = {name: generator.uniform(-bound, bound, shape) for name, shape in self.shapes().items()}
        result["b1"][:] = 0
        if initializer is not None:
            shapes = {name: result[name].shape for name in ("I", "H")}
            result |= initializers.draw(initializer, shapes, self.D_h, generator)
        return result

    def forward(self, parameters: Arrays, inputs: Inputs, context: Context) -> Trace:
        I, H, b1 = (parameters[name] for name in ("I", "H", "b1"))
        steps, batch = inputs.read.shape
        states = recurrence.new_states("h", steps, inputs, self.D_h, context)
        q, n = (context.workspace.take(name, (steps, batch, self.D_h)) for name in ("q", "n"))
        trace = Trace(*states, context.workspace.take("gates", (steps, batch, 2 * self.D_h)), q, n)
        window = recurrence.steps_of(inputs, I, b1, context)
        products = recurrence.forward_products(H, batch, context)
        q_rows = recurrence.rows_of_steps("q_rows", batch, self.D_h, context)
        _recur(context.threads, window, H, products, q_rows, trace)
        return trace

    def backward(
        self, parameters: Arrays, gradients: Arrays, inputs: Inputs, trace: Trace, dh: Array, context: Context
    ) -> CellGradients:
        """The trace's gates become dJ/dz_r and dJ/dz_u, its n becomes dJ/dz_n."""
        I, H = parameters["I"], parameters["H"]
        (_, batch, hidden), workspace = dh.shape, context.workspace
        d_state = workspace.take("d_state", (batch, hidden))
        # Whether threads have columns is a question of the whole of H; what is packed are two of its blocks.
        products = recurrence.backward_products(H[:, : 2 * hidden], batch, context)
        products = products._replace(by_columns=recurrence.by_columns(H, batch, context))
        candidates = _Candidates(
            workspace.panels("packed_n", hidden, hidden),
            recurrence.rows_of_steps("n_rows", batch, hidden, context),
            workspace.apart("dq", batch, hidden),
        )
        _recur_back(context.threads, trace, inputs.reset, H, products, candidates, dh, d_state)
        d_projected = recurrence.new_projected_gradient(inputs, 3 * hidden, context)
        into = recurrence.weight_gradients(gradients, d_projected)
        recurrence.weights_back(trace.gates, trace.previous, inputs.read, into, 0, context)
        recurrence.weights_back(trace.n, trace.q, inputs.read, into, 2 * hidden, context)
        return CellGradients(recurrence.inputs_back(I, gradients["I"], inputs, d_projected, context), d_state)

    def pack(self, parameters: Arrays, context: Context) -> Packed:
        projection = recurrence.pack_projection(parameters["I"], parameters["b1"], context)
        return Packed(projection, recurrence.pack_state_weights(parameters["H"], context))

    def project(self, packed: Packed, e: Array, projected: Array, threads: int) -> None:
        recurrence.project(packed.projection, e, projected, threads)

    def step(self, packed: Packed, projected: Array, state: Array, new: Array, threads: int) -> Array:
        threads = recurrence.threads_for(3 * state.size * self.D_h, threads)
        _step(threads, packed.packed_H, projected, state, np.empty_like(state), new)
        return new


@parallel
def _recur(thread, steps, H, products, q_rows, trace):
    """The loop over time; each thread has its own streams, or its own columns of h."""
    batch, hidden = steps.state.shape
    part = begin(thread, H, products, batch)
    start, stop = part.start, part.stop
    h, previous, gates, q, n = trace.h, trace.previous, trace.gates, trace.q, trace.n
    for t in range(h.shape[0]):
        carry_state(steps.state if t == 0 else h[t - 1], steps.reset[t], steps.initial, part, previous[t])
        read_inputs(steps.projected, steps.read[t], part, hidden, 2, gates[t])
        for b in range(part.first, part.last):
            copy(steps.projected[steps.read[t, b], 2 * hidden + start : 2 * hidden + stop], n[t, b, start:stop])
        before, rows = previous[t, part.first : part.last], step_rows(products.rows, t, part)
        fill_rows(before, start, stop, rows)
        if products.by_columns:
            wait(thread)
        add_state(before, rows, part, products.packed, 0, 2, gates[t, part.first : part.last])
        for b in range(part.first, part.last):
            _gates(gates[t, b], hidden, start, previous[t, b, start:stop], q[t, b, start:stop])
        own, rows = q[t, part.first : part.last], step_rows(q_rows, t, part)
        fill_rows(own, start, stop, rows)
        if products.by_columns:
            wait(thread)
        add_state(own, rows, part, blocks_from(products.packed, 2), 0, 1, n[t, part.first : part.last])
        for b in range(part.first, part.last):
            u = gates[t, b, hidden + start : hidden + stop]
            _new_state(u, previous[t, b, start:stop], n[t, b, start:stop], h[t, b, start:stop])


@jit
def _gates(z, hidden, start, before, q):
    """One stream's columns: z holds z_r z_u and becomes r u; q = r o h(t-1)."""
    r, u = z[start : start + q.size], z[hidden + start : hidden + start + q.size]
    for j in range(q.size):
        r[j] = sigmoid(r[j])
    for j in range(q.size):
        u[j] = sigmoid(u[j])
    for j in range(q.size):
        q[j] = r[j] * before[j]


@jit
def _new_state(u, before, n, h):
    """One stream's columns: n holds z_n and becomes n; h(t) = (1 - u) o n + u o h(t-1)."""
    one = h.dtype.type(1)
    for j in range(h.size):
        n[j] = tanh(n[j])
    for j in range(h.size):
        h[j] = (one - u[j]) * n[j] + u[j] * before[j]


@parallel
def _recur_back(thread, trace, reset, H, products, candidates, dh, d_state):
    """Undoes `_recur`: gates become dJ/dz_r, dJ/dz_u; n becomes dJ/dz_n."""
    steps, batch, hidden = dh.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    pack_panels(H[:, : 2 * hidden], True, start, stop, 2 * hidden, products.packed)
    pack_panels(H[:, 2 * hidden :], True, start, stop, hidden, candidates.packed)
    wait(thread)
    part = own_part(thread, products.by_columns, batch, hidden)
    start, stop = part.start, part.stop
    previous, gates, n, dq, sent = trace.previous, trace.gates, trace.n, candidates.dq, products.result
    clear_part(sent, part)
    for t in range(steps - 1, -1, -1):
        for b in range(part.first, part.last):
            own = dh[t, b, start:stop]
            add(sent[b, start:stop], own)  # dJ/dh(t)
            u = gates[t, b, hidden + start : hidden + stop]
            _new_state_back(u, previous[t, b, start:stop], n[t, b, start:stop], own)
        delta, rows = n[t, part.first : part.last], step_rows(candidates.rows, t, part)
        fill_rows(delta, start, stop, rows)
        if products.by_columns:
            wait(thread)
        packed_n, own_dq = candidates.packed, dq[part.first : part.last]
        # dJ/dq = dJ/dz_n H_n'
        multiply_rows(operand(delta, rows), depth(packed_n, hidden), packed_n, start, stop, own_dq, False)
        for b in range(part.first, part.last):
            own = dq[b, start:stop]
            _gates_back(gates[t, b, start:stop], previous[t, b, start:stop], own)
            add(own, dh[t, b, start:stop])
        both, rows = gates[t, part.first : part.last], step_rows(products.rows, t, part)
        fill_delta(both, part, hidden, rows)
        if products.by_columns:
            wait(thread)
        # dJ/dh(t-1) += [dJ/dz_r dJ/dz_u] [H_r H_u]' + dJ/dq o r + dJ/dh o u
        send_back(both, rows, reset[t], products.packed, part, sent)
        for b in range(part.first, part.last):
            if not reset[t, b]:
                add(dh[t, b, start:stop], sent[b, start:stop])
    copy_part(sent, part, d_state)


@jit
def _new_state_back(u, before, n, dh):
    """Undoes `_new_state`: u becomes dJ/dz_u, n dJ/dz_n, dh what goes straight to h(t-1), dJ/dh o u."""
    one = dh.dtype.type(1)
    for j in range(dh.size):
        n_j, u_j = n[j], u[j]
        n[j] = dh[j] * (one - u_j) * (one - n_j * n_j)
        u[j] = dh[j] * (before[j] - n_j) * u_j * (one - u_j)
        dh[j] *= u_j


@jit
def _gates_back(r, before, dq):
    """Undoes q = r o h(t-1) and r: r becomes dJ/dz_r, dq what goes to h(t-1), dJ/dq o r."""
    one = dq.dtype.type(1)
    for j in range(dq.size):
        R = r[j]
        r[j] = dq[j] * before[j] * R * (one - R)
        dq[j] *= R


@parallel
def _step(thread, packed_H, z, h, q, new):
    """One token: new(h), all B x D_h; z comes as e I + b1, B x 3 D_h. Each thread has its own columns."""
    batch, hidden = h.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    for b in range(batch):
        copy(z[b, 2 * hidden + start : 2 * hidden + stop], new[b, start:stop])  # e I_n + b1_n
    for block in range(2):
        left = block * hidden
        multiply_rows(Numbers(h), hidden, block_of(packed_H, block), start, stop, z[:, left : left + hidden], True)
    for b in range(batch):
        _gates(z[b], hidden, start, h[b, start:stop], q[b, start:stop])
    wait(thread)
    multiply_rows(Numbers(q), hidden, block_of(packed_H, 2), start, stop, new, True)
    for b in range(batch):
        n = new[b, start:stop]
        _new_state(z[b, hidden + start : hidden + stop], h[b, start:stop], n, n)
