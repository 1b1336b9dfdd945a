"""Gated recurrent units as they were first written (Cho et al. 2014), the reset gate before the product.

    [z_r z_u](t) = h(t-1) [H_r H_u] + e(t) [I_r I_u] + [b1_r b1_u]      r, u = sigmoid(z_r), sigmoid(z_u)
    q(t) = r o h(t-1)                                                   n = tanh(q H_n + e(t) I_n + b1_n)
    h(t) = (1 - u) o n + u o h(t-1)                  I: d x 3 D_h   H: D_h x 3 D_h   b1: 3 D_h

(The sign o between two vectors is the product number by number; Cho et al. write z for u, and 1 - u for it.) A step
has two products, the second of which waits for the first: ``cells.gru`` is faster, and what PyTorch has.

Backward:

    dJ/dz_n = dJ/dh o (1 - u) o (1 - n^2)            dJ/dq = dJ/dz_n H_n'
    dJ/dz_r = dJ/dq o h(t-1) o r (1 - r)             dJ/dz_u = dJ/dh o (h(t-1) - n) o u (1 - u)
    dJ/dh(t-1) gets dJ/dh o u + dJ/dq o r + [dJ/dz_r dJ/dz_u] [H_r H_u]'
    dJ/d[H_r H_u] = sum_t h(t-1)' [dJ/dz_r dJ/dz_u]  dJ/dH_n = sum_t q(t)' dJ/dz_n

Where `reset[t]` is set, step t sees 0 for h(t-1) and sends nothing back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise.activations import sigmoid, tanh
from rnnlm.kernels.elementwise.rows import add, clear, copy
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_rows
from rnnlm.kernels.matmul.layout import block_of, blocks_from, depth, operand, rows_at
from rnnlm.kernels.matmul.pack import fill_rows, pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.cells import recurrence
from rnnlm.network.cells.recurrence import (
    add_state,
    fill_back,
    pack_blocks,
    part,
    read_inputs,
    send_back,
    take_over,
)

if TYPE_CHECKING:
    from rnnlm.config.schema import Model
    from rnnlm.kernels.workspace import Workspace


def shapes(d: int, hidden: int, settings: Model) -> dict[str, tuple[int, ...]]:
    """Parameters by name."""
    return {"I": (d, 3 * hidden), "H": (hidden, 3 * hidden), "b1": (3 * hidden,)}


def state_size(hidden: int) -> int:
    """Numbers of a stream's state: h."""
    return hidden


def init(d: int, hidden: int, settings: Model, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights uniform in +-1/sqrt(D_h), as PyTorch has them; biases 0."""
    bound = 1 / np.sqrt(hidden)
    result = {name: generator.uniform(-bound, bound, shape) for name, shape in shapes(d, hidden, settings).items()}
    result["b1"][:] = 0
    return result


class Trace(NamedTuple):
    """What `forward` leaves for `backward`; lives until the next window."""

    h: np.ndarray  # T x B x D_h: h(t)
    previous: np.ndarray  # T x B x D_h: h(t-1) as step t saw it
    gates: np.ndarray  # T x B x 2 D_h: r u
    q: np.ndarray  # T x B x D_h
    n: np.ndarray  # T x B x D_h


def forward(parameters, settings, e, index, reset, state, workspace: Workspace, threads) -> Trace:
    """h(t) for every step of a window; see ``cells.elman.forward``."""
    (steps, batch), H = index.shape, parameters["H"]
    hidden = len(H)
    h, previous, q, n = (workspace.take(name, (steps, batch, hidden)) for name in ("h", "previous", "q", "n"))
    gates = workspace.take("gates", (steps, batch, 2 * hidden))
    projected = recurrence.project(parameters, e, workspace, threads)
    _recur(
        threads, recurrence.by_columns(H, batch, threads), projected, index, reset, state, H,
        workspace.panels("packed_H", hidden, hidden, 3), workspace.rows("previous_rows", steps, batch, hidden),
        workspace.rows("q_rows", steps, batch, hidden), previous, gates, q, n, h,
    )  # fmt: skip
    return Trace(h, previous, gates, q, n)


def state_after(trace: Trace, step: int) -> np.ndarray:
    """The state of every stream after a step, B x D_h, a copy."""
    return trace.h[step].copy()


@parallel
def _recur(
    thread,
    by_columns,
    projected,
    index,
    reset,
    h0,
    H,
    packed_H,
    previous_rows,
    q_rows,
    previous,
    gates,
    q,
    n,
    h,
):
    """The loop over time; each thread has its own streams, or its own columns of h."""
    batch, hidden = h0.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    pack_blocks(H, start, stop, packed_H)
    wait(thread)
    first, last, start, stop = part(thread, by_columns, batch, hidden)
    for t in range(index.shape[0]):
        take_over(h0 if t == 0 else h[t - 1], reset[t], first, last, start, stop, previous[t])
        read_inputs(projected, index[t], first, last, start, stop, hidden, 2, gates[t])
        for b in range(first, last):
            copy(projected[index[t, b], 2 * hidden + start : 2 * hidden + stop], n[t, b, start:stop])
        before, rows = previous[t, first:last], rows_at(previous_rows, t, first, last)
        fill_rows(before, start, stop, rows)
        if by_columns:
            wait(thread)
        add_state(before, rows, start, stop, packed_H, 0, 2, gates[t, first:last])
        for b in range(first, last):
            _gates(gates[t, b], hidden, start, previous[t, b, start:stop], q[t, b, start:stop])
        own, rows = q[t, first:last], rows_at(q_rows, t, first, last)
        fill_rows(own, start, stop, rows)
        if by_columns:
            wait(thread)
        add_state(own, rows, start, stop, blocks_from(packed_H, 2), 0, 1, n[t, first:last])
        for b in range(first, last):
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
    """n holds z_n; h(t) = (1 - u) o n + u o h(t-1)."""
    one = h.dtype.type(1)
    for j in range(h.size):
        n[j] = tanh(n[j])
    for j in range(h.size):
        h[j] = (one - u[j]) * n[j] + u[j] * before[j]


def backward(parameters, gradients, settings, e, index, reset, trace: Trace, dh, workspace: Workspace, threads):
    """See ``cells.elman.backward``; the trace's gates become dJ/dz_r and dJ/dz_u, its n dJ/dz_n."""
    (steps, batch, hidden), H = dh.shape, parameters["H"]
    dh0, dq = workspace.take("dh0", (batch, hidden)), workspace.take("dq", (batch, hidden))
    _recur_back(
        threads, recurrence.by_columns(H, batch, threads), reset, H, trace.previous,
        workspace.panels("packed_back", 2 * hidden, hidden), workspace.panels("packed_n", hidden, hidden),
        workspace.rows("delta_rows", steps, batch, 2 * hidden), workspace.rows("n_rows", steps, batch, hidden),
        trace.gates, trace.n, dq, dh, dh0,
    )  # fmt: skip
    d_projected = workspace.take("d_projected", (len(e), 3 * hidden))
    recurrence.weights_back(trace.gates, index, trace.previous, gradients, d_projected, 0, workspace, threads)
    recurrence.weights_back(trace.n, index, trace.q, gradients, d_projected, 2 * hidden, workspace, threads)
    return recurrence.project_back(parameters, e, d_projected, gradients, workspace, threads), dh0


@parallel
def _recur_back(
    thread,
    by_columns,
    reset,
    H,
    previous,
    packed_back,
    packed_n,
    delta_rows,
    n_rows,
    gates,
    n,
    dq,
    dh,
    dh0,
):
    """Undoes `_recur`: gates become dJ/dz_r, dJ/dz_u; n becomes dJ/dz_n."""
    steps, batch, hidden = dh.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    pack_panels(H[:, : 2 * hidden], True, start, stop, 2 * hidden, packed_back)
    pack_panels(H[:, 2 * hidden :], True, start, stop, hidden, packed_n)
    wait(thread)
    first, last, start, stop = part(thread, by_columns, batch, hidden)
    for b in range(first, last):
        clear(dh0[b, start:stop])
    for t in range(steps - 1, -1, -1):
        below = dh0 if t == 0 else dh[t - 1]
        for b in range(first, last):
            own = dh[t, b, start:stop]
            u = gates[t, b, hidden + start : hidden + stop]
            _new_state_back(u, previous[t, b, start:stop], n[t, b, start:stop], own)
            if not reset[t, b]:
                add(own, below[b, start:stop])
            clear(dq[b, start:stop])
        delta, rows = n[t, first:last], rows_at(n_rows, t, first, last)
        fill_rows(delta, start, stop, rows)
        if by_columns:
            wait(thread)
        multiply_rows(  # dJ/dq = dJ/dz_n H_n'
            operand(delta, rows), depth(packed_n, hidden), packed_n, start, stop, dq[first:last], True
        )
        for b in range(first, last):
            own = dq[b, start:stop]
            _gates_back(gates[t, b, start:stop], previous[t, b, start:stop], own)
            if not reset[t, b]:
                add(own, below[b, start:stop])
        both, rows = gates[t, first:last], rows_at(delta_rows, t, first, last)
        one_by_one = fill_back(both, reset[t, first:last], start, stop, hidden, rows)
        if by_columns:
            wait(thread)
        # dJ/dh(t-1) += [dJ/dz_r dJ/dz_u] [H_r H_u]'
        send_back(both, rows, reset[t, first:last], one_by_one, packed_back, start, stop, below[first:last])


@jit
def _new_state_back(u, before, n, dh):
    """Undoes `_new_state`: u becomes dJ/dz_u, n dJ/dz_n, dh what goes straight to h(t-1), dJ/dh o u."""
    one = dh.dtype.type(1)
    for j in range(dh.size):
        N, U = n[j], u[j]
        n[j] = dh[j] * (one - U) * (one - N * N)
        u[j] = dh[j] * (before[j] - N) * U * (one - U)
        dh[j] *= U


@jit
def _gates_back(r, before, dq):
    """Undoes q = r o h(t-1) and r: r becomes dJ/dz_r, dq what goes to h(t-1), dJ/dq o r."""
    one = dq.dtype.type(1)
    for j in range(dq.size):
        R = r[j]
        r[j] = dq[j] * before[j] * R * (one - R)
        dq[j] *= R


def ready(parameters, settings, workspace: Workspace):
    """What `project` and `step` read, from weights that do not change any more."""
    H = parameters["H"]
    packed_H = workspace.panels("packed_H", len(H), len(H), 3)
    recurrence.pack_all_blocks(H, packed_H)
    return recurrence.ready_projection(parameters, workspace), packed_H


def project(packed, e, projected, threads):
    """What a step gets from below: projected = e I + b1, n x 3 D_h, for the n rows of e."""
    recurrence.project_ready(packed[0], e, projected, threads)


def step(packed, projected, h, new, threads):
    """One step of every stream from h to new, B x D_h, not the same array; projected is written over. Returns what
    the layer above reads, h(t)."""
    q = np.empty_like(h)
    _step(recurrence.threads_for(h.shape[0] * 3 * h.shape[1] ** 2, threads), packed[1], projected, h, q, new)
    return new


@parallel
def _step(thread, packed_H, z, h, q, new):
    """Each thread has its own columns."""
    batch, hidden = h.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    for b in range(batch):
        copy(z[b, 2 * hidden + start : 2 * hidden + stop], new[b, start:stop])  # e I_n + b1_n
    for block in range(2):
        left = block * hidden
        multiply_rows(h, hidden, block_of(packed_H, block), start, stop, z[:, left : left + hidden], True)
    for b in range(batch):
        _gates(z[b], hidden, start, h[b, start:stop], q[b, start:stop])
    wait(thread)
    multiply_rows(q, hidden, block_of(packed_H, 2), start, stop, new, True)
    for b in range(batch):
        n = new[b, start:stop]
        _new_state(z[b, hidden + start : hidden + stop], h[b, start:stop], n, n)
