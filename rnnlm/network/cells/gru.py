"""The gated recurrent unit (Cho et al. 2014), its reset gate after the product.

So have it cuDNN and PyTorch:

    [z_r z_u](t) = h(t-1) [H_r H_u] + e(t) [I_r I_u] + [b1_r b1_u]      r, u = sigmoid(z_r), sigmoid(z_u)
    m(t) = h(t-1) H_n + bh                                              n = tanh(e(t) I_n + b1_n + r o m)
    h(t) = (1 - u) o n + u o h(t-1)                  I: d x 3 D_h   H: D_h x 3 D_h   b1: 3 D_h   bh: D_h

(o: the elementwise product.) Blocks stand in PyTorch's order, r u n; PyTorch writes z for u. ``cells.gru_before`` has
the other convention.

Backward:

    dJ/dz_n = dJ/dh o (1 - u) o (1 - n^2)            dJ/dm = dJ/dz_n o r
    dJ/dz_r = dJ/dz_n o m o r (1 - r)                dJ/dz_u = dJ/dh o (h(t-1) - n) o u (1 - u)
    dJ/dh(t-1) gets dJ/dh o u + [dJ/dz_r dJ/dz_u dJ/dm] H'
    dJ/dH = sum_t h(t-1)' [dJ/dz_r dJ/dz_u dJ/dm]    dJ/dbh = sum_t dJ/dm
    dJ/d(e I + b1) = [dJ/dz_r dJ/dz_u dJ/dz_n]

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


class Trace(NamedTuple):
    """The trace: what `forward` leaves for `backward`; lives until the next window."""

    h: np.ndarray  # T x B x D_h: h(t)
    previous: np.ndarray  # T x B x D_h: h(t-1) as step t saw it
    gates: np.ndarray  # T x B x 3 D_h: r u m
    n: np.ndarray  # T x B x D_h


class Packed(NamedTuple):
    """Packed weights, for one token at a time."""

    projection: recurrence.Projection
    packed_H: Operand  # 3 x panels
    bh: np.ndarray


@dataclass(frozen=True)
class GRU(Cell[Trace, Packed]):
    """The gated recurrent unit: d numbers in, D_h units."""

    d: int
    D_h: int

    @property
    def projection(self) -> int:
        return 3 * self.D_h

    def multiplications(self, distinct: int, places: int) -> int:
        return 3 * self.D_h * (self.d * distinct + self.D_h * places)

    def shapes(self) -> Shapes:
        d, D_h, blocks = Axis(self.d, "d"), Axis(self.D_h, "D_h"), Axis(3 * self.D_h, "3 D_h")
        return {"I": (d, blocks), "H": (D_h, blocks), "b1": (blocks,), "bh": (D_h,)}

    def init(self, generator: np.random.Generator, initializer: Initializer | None = None) -> Arrays:
        """Initial weights uniform in +-1/sqrt(D_h), as PyTorch has them; biases 0."""
        bound = 1 / np.sqrt(self.D_h)
        result: Arrays = {name: generator.uniform(-bound, bound, shape) for name, shape in self.shapes().items()}
        result["b1"][:], result["bh"][:] = 0, 0
        if initializer is not None:
            shapes = {name: result[name].shape for name in ("I", "H")}
            result |= initializers.draw(initializer, shapes, self.D_h, generator)
        return result

    def forward(self, parameters: Arrays, inputs: Inputs, context: Context) -> Trace:
        I, H, b1, bh = (parameters[name] for name in ("I", "H", "b1", "bh"))
        steps, batch = inputs.read.shape
        states = recurrence.new_states("h", steps, inputs, self.D_h, context)
        gates, n = (
            context.workspace.take(name, (steps, batch, k * self.D_h)) for name, k in (("gates", 3), ("n", 1))
        )
        trace = Trace(*states, gates, n)
        window = recurrence.steps_of(inputs, I, b1, context)
        products = recurrence.forward_products(H, batch, context)
        _recur(context.threads, window, H, bh, products, trace)
        return trace

    def backward(
        self, parameters: Arrays, gradients: Arrays, inputs: Inputs, trace: Trace, dh: Array, context: Context
    ) -> CellGradients:
        """The trace's gates become dJ/dz_r, dJ/dz_u and dJ/dm, its n becomes dJ/dz_n."""
        I, H = parameters["I"], parameters["H"]
        steps, batch, _ = dh.shape
        d_state = context.workspace.take("d_state", (batch, self.D_h))
        products = recurrence.backward_products(H, batch, context)
        _recur_back(context.threads, trace, inputs.reset, H, products, dh, d_state)
        d_projected = recurrence.new_projected_gradient(inputs, 3 * self.D_h, context)
        into = recurrence.weight_gradients(gradients, d_projected)
        recurrence.weights_back(trace.gates, trace.previous, inputs.read, into, 0, context)
        _candidates_back(context.threads, trace.n, inputs.read, d_projected, gradients["b1"], gradients["bh"])
        return CellGradients(recurrence.inputs_back(I, gradients["I"], inputs, d_projected, context), d_state)

    def pack(self, parameters: Arrays, context: Context) -> Packed:
        projection = recurrence.pack_projection(parameters["I"], parameters["b1"], context)
        return Packed(projection, recurrence.pack_state_weights(parameters["H"], context), parameters["bh"])

    def project(self, packed: Packed, e: Array, projected: Array, threads: int) -> None:
        recurrence.project(packed.projection, e, projected, threads)

    def step(self, packed: Packed, projected: Array, state: Array, new: Array, threads: int) -> Array:
        threads = recurrence.threads_for(3 * state.size * self.D_h, threads)
        _step(threads, packed.packed_H, packed.bh, projected, state, new)
        return new


@parallel
def _recur(thread, steps, H, bh, products, trace):
    """The loop over time; each thread has its own streams, or its own columns of h."""
    batch, hidden = steps.state.shape
    part = begin(thread, H, products, batch)
    start, stop = part.start, part.stop
    h, previous, gates, n = trace.h, trace.previous, trace.gates, trace.n
    for t in range(h.shape[0]):
        carry_state(steps.state if t == 0 else h[t - 1], steps.reset[t], steps.initial, part, previous[t])
        read_inputs(steps.projected, steps.read[t], part, hidden, 2, gates[t])
        for b in range(part.first, part.last):
            copy(bh[start:stop], gates[t, b, 2 * hidden + start : 2 * hidden + stop])
            copy(steps.projected[steps.read[t, b], 2 * hidden + start : 2 * hidden + stop], n[t, b, start:stop])
        before, rows = previous[t, part.first : part.last], step_rows(products.rows, t, part)
        fill_rows(before, start, stop, rows)
        if products.by_columns:
            wait(thread)
        add_state(before, rows, part, products.packed, 0, 3, gates[t, part.first : part.last])
        for b in range(part.first, part.last):
            _cell(gates[t, b], hidden, start, previous[t, b, start:stop], n[t, b, start:stop], h[t, b, start:stop])


@jit
def _cell(z, hidden, start, before, n, h):
    """One stream's columns: z holds z_r z_u m and becomes r u m; n comes as e I_n + b1_n."""
    r, u, m = _blocks(z, hidden, start, h.size)
    one = z.dtype.type(1)
    for j in range(h.size):
        r[j] = sigmoid(r[j])
    for j in range(h.size):
        u[j] = sigmoid(u[j])
    for j in range(h.size):
        n[j] = tanh(n[j] + r[j] * m[j])
    for j in range(h.size):
        h[j] = (one - u[j]) * n[j] + u[j] * before[j]


@jit
def _blocks(z, hidden, start, size):
    """The same columns of the three blocks of z (3 D_h)."""
    second, third = hidden + start, 2 * hidden + start
    return z[start : start + size], z[second : second + size], z[third : third + size]


@parallel
def _recur_back(thread, trace, reset, H, products, dh, d_state):
    """Undoes `_recur`: gates become dJ/dz_r, dJ/dz_u, dJ/dm; n becomes dJ/dz_n."""
    steps, batch, hidden = dh.shape
    part = begin_back(thread, H, products, batch)
    start, stop = part.start, part.stop
    gates, n, sent = trace.gates, trace.n, products.result
    clear_part(sent, part)
    for t in range(steps - 1, -1, -1):
        for b in range(part.first, part.last):
            own, n_own = dh[t, b, start:stop], n[t, b, start:stop]
            add(sent[b, start:stop], own)  # dJ/dh(t)
            _cell_back(gates[t, b], hidden, start, trace.previous[t, b, start:stop], n_own, own)
        delta, rows = gates[t, part.first : part.last], step_rows(products.rows, t, part)
        fill_delta(delta, part, hidden, rows)
        if products.by_columns:
            wait(thread)
        # dJ/dh(t-1) += [dJ/dz_r dJ/dz_u dJ/dm] H' + dJ/dh o u
        send_back(delta, rows, reset[t], products.packed, part, sent)
        for b in range(part.first, part.last):
            if not reset[t, b]:
                add(dh[t, b, start:stop], sent[b, start:stop])
    copy_part(sent, part, d_state)


@jit
def _cell_back(z, hidden, start, before, n, dh):
    """Undoes `_cell`: z holds r u m and becomes dJ/dz_r, dJ/dz_u, dJ/dm; n becomes dJ/dz_n; dh becomes what goes
    straight to h(t-1), dJ/dh o u."""
    r, u, m = _blocks(z, hidden, start, dh.size)
    one = z.dtype.type(1)
    for j in range(dh.size):
        n_j, u_j = n[j], u[j]
        n[j] = dh[j] * (one - u_j) * (one - n_j * n_j)
        u[j] = dh[j] * (before[j] - n_j) * u_j * (one - u_j)
        dh[j] *= u_j
    for j in range(dh.size):
        r_j = r[j]
        r[j] = n[j] * m[j] * r_j * (one - r_j)
        m[j] = n[j] * r_j


@parallel
def _candidates_back(thread, dn, read, d_projected, db1, dbh):
    """dJ/dz_n (T x B x D_h) summed by input and into db1's third block. There `weights_back` has summed dJ/dm, which
    is dJ/dbh."""
    steps, batch, hidden = dn.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    copy(db1[2 * hidden + start : 2 * hidden + stop], dbh[start:stop])
    flat = dn.reshape((steps * batch, hidden))
    recurrence.sum_by_input(flat, read.reshape(steps * batch), d_projected, db1, start, stop, 2 * hidden)


@parallel
def _step(thread, packed_H, bh, z, h, new):
    """One token: new(h), all B x D_h; z comes as e I + b1, B x 3 D_h. Each thread has its own columns."""
    batch, hidden = h.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    for b in range(batch):
        copy(z[b, 2 * hidden + start : 2 * hidden + stop], new[b, start:stop])  # e I_n + b1_n
        copy(bh[start:stop], z[b, 2 * hidden + start : 2 * hidden + stop])
    for block in range(3):
        left = block * hidden
        multiply_rows(Numbers(h), hidden, block_of(packed_H, block), start, stop, z[:, left : left + hidden], True)
    for b in range(batch):
        n = new[b, start:stop]
        _cell(z[b], hidden, start, h[b, start:stop], n, n)
