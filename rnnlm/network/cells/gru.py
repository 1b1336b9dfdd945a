"""Gated recurrent units (Cho et al. 2014), the reset gate after the product, as in cuDNN and PyTorch.

    [z_r z_u](t) = h(t-1) [H_r H_u] + e(t) [I_r I_u] + [b1_r b1_u]      r, u = sigmoid(z_r), sigmoid(z_u)
    m(t) = h(t-1) H_n + bh                                              n = tanh(e(t) I_n + b1_n + r o m)
    h(t) = (1 - u) o n + u o h(t-1)                  I: d x 3 D_h   H: D_h x 3 D_h   b1: 3 D_h   bh: D_h

(The sign o between two vectors is the product number by number.) Blocks stand in PyTorch's order, r u n; PyTorch
writes z for u. ``cells.gru_before`` has the other convention.

Backward:

    dJ/dz_n = dJ/dh o (1 - u) o (1 - n^2)            dJ/dm = dJ/dz_n o r
    dJ/dz_r = dJ/dz_n o m o r (1 - r)                dJ/dz_u = dJ/dh o (h(t-1) - n) o u (1 - u)
    dJ/dh(t-1) gets dJ/dh o u + [dJ/dz_r dJ/dz_u dJ/dm] H'
    dJ/dH = sum_t h(t-1)' [dJ/dz_r dJ/dz_u dJ/dm]    dJ/dbh = sum_t dJ/dm
    dJ/d(e I + b1) = [dJ/dz_r dJ/dz_u dJ/dz_n]

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
from rnnlm.kernels.matmul.layout import block_of, rows_at
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
    return {"I": (d, 3 * hidden), "H": (hidden, 3 * hidden), "b1": (3 * hidden,), "bh": (hidden,)}


def state_size(hidden: int) -> int:
    """Numbers of a stream's state: h."""
    return hidden


def init(d: int, hidden: int, settings: Model, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights uniform in +-1/sqrt(D_h), as PyTorch has them; biases 0."""
    bound = 1 / np.sqrt(hidden)
    result = {name: generator.uniform(-bound, bound, shape) for name, shape in shapes(d, hidden, settings).items()}
    result["b1"][:], result["bh"][:] = 0, 0
    return result


class Trace(NamedTuple):
    """What `forward` leaves for `backward`; lives until the next window."""

    h: np.ndarray  # T x B x D_h: h(t)
    previous: np.ndarray  # T x B x D_h: h(t-1) as step t saw it
    gates: np.ndarray  # T x B x 3 D_h: r u m
    n: np.ndarray  # T x B x D_h


def forward(parameters, settings, e, index, reset, state, workspace: Workspace, threads) -> Trace:
    """h(t) for every step of a window; see ``cells.elman.forward``."""
    (steps, batch), H = index.shape, parameters["H"]
    hidden, width = H.shape
    h, previous, n = (workspace.take(name, (steps, batch, hidden)) for name in ("h", "previous", "n"))
    gates = workspace.take("gates", (steps, batch, width))
    projected = recurrence.project(parameters, e, workspace, threads)
    _recur(
        threads, recurrence.by_columns(H, batch, threads), projected, index, reset, state, H, parameters["bh"],
        workspace.panels("packed_H", hidden, hidden, 3), workspace.rows("previous_rows", steps, batch, hidden),
        previous, gates, n, h,
    )  # fmt: skip
    return Trace(h, previous, gates, n)


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
    bh,
    packed_H,
    previous_rows,
    previous,
    gates,
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
            copy(bh[start:stop], gates[t, b, 2 * hidden + start : 2 * hidden + stop])
            copy(projected[index[t, b], 2 * hidden + start : 2 * hidden + stop], n[t, b, start:stop])
        before, rows = previous[t, first:last], rows_at(previous_rows, t, first, last)
        fill_rows(before, start, stop, rows)
        if by_columns:
            wait(thread)
        add_state(before, rows, start, stop, packed_H, 0, 3, gates[t, first:last])
        for b in range(first, last):
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
    """The same columns of the three blocks."""
    second, third = hidden + start, 2 * hidden + start
    return z[start : start + size], z[second : second + size], z[third : third + size]


def backward(parameters, gradients, settings, e, index, reset, trace: Trace, dh, workspace: Workspace, threads):
    """See ``cells.elman.backward``; the trace's gates become dJ/dz_r, dJ/dz_u and dJ/dm, its n dJ/dz_n."""
    (steps, batch, hidden), H = dh.shape, parameters["H"]
    dh0 = workspace.take("dh0", (batch, hidden))
    _recur_back(
        threads, recurrence.by_columns(H, batch, threads), reset, H, trace.previous,
        workspace.panels("packed_back", 3 * hidden, hidden), workspace.rows("delta_rows", steps, batch, 3 * hidden),
        trace.gates, trace.n, dh, dh0,
    )  # fmt: skip
    d_projected = workspace.take("d_projected", (len(e), len(gradients["b1"])))
    recurrence.weights_back(trace.gates, index, trace.previous, gradients, d_projected, 0, workspace, threads)
    _inputs_back(threads, trace.n, index, d_projected, gradients["b1"], gradients["bh"])
    return recurrence.project_back(parameters, e, d_projected, gradients, workspace, threads), dh0


@parallel
def _recur_back(thread, by_columns, reset, H, previous, packed_back, delta_rows, gates, n, dh, dh0):
    """Undoes `_recur`: gates become dJ/dz_r, dJ/dz_u, dJ/dm; n becomes dJ/dz_n."""
    steps, batch, hidden = dh.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    pack_panels(H, True, start, stop, 3 * hidden, packed_back)
    wait(thread)
    first, last, start, stop = part(thread, by_columns, batch, hidden)
    for b in range(first, last):
        clear(dh0[b, start:stop])
    for t in range(steps - 1, -1, -1):
        for b in range(first, last):
            own, n_own = dh[t, b, start:stop], n[t, b, start:stop]
            _cell_back(gates[t, b], hidden, start, previous[t, b, start:stop], n_own, own)
            if not reset[t, b]:
                add(own, dh0[b, start:stop] if t == 0 else dh[t - 1, b, start:stop])
        delta, rows, below = gates[t, first:last], rows_at(delta_rows, t, first, last), dh0 if t == 0 else dh[t - 1]
        one_by_one = fill_back(delta, reset[t, first:last], start, stop, hidden, rows)
        if by_columns:
            wait(thread)
        # dJ/dh(t-1) += [dJ/dz_r dJ/dz_u dJ/dm] H'
        send_back(delta, rows, reset[t, first:last], one_by_one, packed_back, start, stop, below[first:last])


@jit
def _cell_back(z, hidden, start, before, n, dh):
    """Undoes `_cell`: z holds r u m and becomes dJ/dz_r, dJ/dz_u, dJ/dm; n becomes dJ/dz_n; dh becomes what goes
    straight to h(t-1), dJ/dh o u."""
    r, u, m = _blocks(z, hidden, start, dh.size)
    one = z.dtype.type(1)
    for j in range(dh.size):
        N, U = n[j], u[j]
        n[j] = dh[j] * (one - U) * (one - N * N)
        u[j] = dh[j] * (before[j] - N) * U * (one - U)
        dh[j] *= U
    for j in range(dh.size):
        R = r[j]
        r[j] = n[j] * m[j] * R * (one - R)
        m[j] = n[j] * R


@parallel
def _inputs_back(thread, dn, index, d_projected, db1, dbh):
    """`weights_back` has summed dJ/dm up as the third block, which is dJ/dbh; of the inputs and of b1 it is
    dJ/dz_n."""
    steps, batch, hidden = dn.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    copy(db1[2 * hidden + start : 2 * hidden + stop], dbh[start:stop])
    flat = dn.reshape((steps * batch, hidden))
    recurrence.sum_by_input(flat, index.reshape(steps * batch), d_projected, db1, start, stop, 2 * hidden)


def ready(parameters, settings, workspace: Workspace):
    """What `project` and `step` read, from weights that do not change any more."""
    H = parameters["H"]
    packed_H = workspace.panels("packed_H", len(H), len(H), 3)
    recurrence.pack_all_blocks(H, packed_H)
    return recurrence.ready_projection(parameters, workspace), packed_H, parameters["bh"]


def project(packed, e, projected, threads):
    """What a step gets from below: projected = e I + b1, n x 3 D_h, for the n rows of e."""
    recurrence.project_ready(packed[0], e, projected, threads)


def step(packed, projected, h, new, threads):
    """One step of every stream from h to new, B x D_h, not the same array; projected is written over. Returns what
    the layer above reads, h(t)."""
    _step(recurrence.threads_for(h.shape[0] * 3 * h.shape[1] ** 2, threads), *packed[1:], projected, h, new)
    return new


@parallel
def _step(thread, packed_H, bh, z, h, new):
    """Each thread has its own columns."""
    batch, hidden = h.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    for b in range(batch):
        copy(z[b, 2 * hidden + start : 2 * hidden + stop], new[b, start:stop])  # e I_n + b1_n
        copy(bh[start:stop], z[b, 2 * hidden + start : 2 * hidden + stop])
    for block in range(3):
        left = block * hidden
        multiply_rows(h, hidden, block_of(packed_H, block), start, stop, z[:, left : left + hidden], True)
    for b in range(batch):
        n = new[b, start:stop]
        _cell(z[b], hidden, start, h[b, start:stop], n, n)
