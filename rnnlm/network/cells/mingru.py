"""The minimal gated recurrent unit without a product over time (Feng et al. 2024, "Were RNNs all we needed?").

    [z_u n](t) = e(t) I + b1      u = sigmoid(z_u)                    I: d x 2 D_h   b1: 2 D_h
    h(t) = (1 - u) o h(t-1) + u o n

(The sign o between two vectors is the product number by number; u is the paper's z.) Gates and candidates do not see
the state, so all products of a window are done at once, and what is left is a scan: every number of h of every stream
runs through time by itself. There are far more of them than cores, so each thread scans its own columns.

Backward:

    dJ/dn = dJ/dh o u             dJ/dz_u = dJ/dh o (n - h(t-1)) o u (1 - u)
    dJ/dh(t-1) gets dJ/dh o (1 - u)

Where `reset[t]` is set, step t sees 0 for h(t-1) and sends nothing back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise.activations import sigmoid
from rnnlm.kernels.elementwise.rows import add, clear
from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.cells import recurrence
from rnnlm.network.cells.recurrence import read_inputs, sum_by_input, take_over

if TYPE_CHECKING:
    from rnnlm.config.schema import Model
    from rnnlm.kernels.workspace import Workspace


def shapes(d: int, hidden: int, settings: Model) -> dict[str, tuple[int, ...]]:
    """Parameters by name."""
    return {"I": (d, 2 * hidden), "b1": (2 * hidden,)}


def state_size(hidden: int) -> int:
    """Numbers of a stream's state: h."""
    return hidden


def init(d: int, hidden: int, settings: Model, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights uniform in +-1/sqrt(d); biases 0."""
    bound = 1 / np.sqrt(d)
    return {"I": generator.uniform(-bound, bound, (d, 2 * hidden)), "b1": np.zeros(2 * hidden)}


class Trace(NamedTuple):
    """What `forward` leaves for `backward`; lives until the next window."""

    h: np.ndarray  # T x B x D_h: h(t)
    previous: np.ndarray  # T x B x D_h: h(t-1) as step t saw it
    gates: np.ndarray  # T x B x 2 D_h: u n


def forward(parameters, settings, e, index, reset, state, workspace: Workspace, threads) -> Trace:
    """h(t) for every step of a window; see ``cells.elman.forward``."""
    (steps, batch), hidden = index.shape, state.shape[1]
    h, previous = (workspace.take(name, (steps, batch, hidden)) for name in ("h", "previous"))
    gates = workspace.take("gates", (steps, batch, 2 * hidden))
    _scan(threads, recurrence.project(parameters, e, workspace, threads), index, reset, state, previous, gates, h)
    return Trace(h, previous, gates)


def state_after(trace: Trace, step: int) -> np.ndarray:
    """The state of every stream after a step, B x D_h, a copy."""
    return trace.h[step].copy()


@parallel
def _scan(thread, projected, index, reset, h0, previous, gates, h):
    """The loop over time; each thread has its own columns."""
    batch, hidden = h0.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    for t in range(index.shape[0]):
        take_over(h0 if t == 0 else h[t - 1], reset[t], 0, batch, start, stop, previous[t])
        read_inputs(projected, index[t], 0, batch, start, stop, hidden, 2, gates[t])
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


def backward(parameters, gradients, settings, e, index, reset, trace: Trace, dh, workspace: Workspace, threads):
    """See ``cells.elman.backward``; the trace's gates become dJ/dz_u and dJ/dn."""
    batch, hidden = dh.shape[1:]
    dh0 = workspace.take("dh0", (batch, hidden))
    d_projected = workspace.take("d_projected", (len(e), 2 * hidden))
    _scan_back(threads, reset, index, trace.previous, trace.gates, d_projected, gradients["b1"], dh, dh0)
    return recurrence.project_back(parameters, e, d_projected, gradients, workspace, threads), dh0


@parallel
def _scan_back(thread, reset, index, previous, gates, d_projected, db1, dh, dh0):
    """Undoes `_scan`, and sums dJ/dz_u and dJ/dn by input."""
    steps, batch, hidden = dh.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    for b in range(batch):
        clear(dh0[b, start:stop])
    for t in range(steps - 1, -1, -1):
        below = dh0 if t == 0 else dh[t - 1]
        for b in range(batch):
            own = dh[t, b, start:stop]
            _cell_back(gates[t, b], hidden, start, previous[t, b, start:stop], own)
            if not reset[t, b]:
                add(own, below[b, start:stop])
    flat = gates.reshape((steps * batch, 2 * hidden))
    for left in (0, hidden):
        sum_by_input(flat, index.reshape(steps * batch), d_projected, db1, left + start, left + stop, 0)


@jit
def _cell_back(z, hidden, start, before, dh):
    """Undoes `_cell`: z becomes dJ/dz_u dJ/dn; dh becomes what goes to h(t-1)."""
    u, n = z[start : start + dh.size], z[hidden + start : hidden + start + dh.size]
    one = dh.dtype.type(1)
    for j in range(dh.size):
        U = u[j]
        u[j] = dh[j] * (n[j] - before[j]) * U * (one - U)
        n[j] = dh[j] * U
        dh[j] *= one - U


def ready(parameters, settings, workspace: Workspace):
    """What `project` and `step` read, from weights that do not change any more."""
    return recurrence.ready_projection(parameters, workspace)


def project(packed, e, projected, threads):
    """What a step gets from below: projected = e I + b1, n x 2 D_h, for the n rows of e."""
    recurrence.project_ready(packed, e, projected, threads)


def step(packed, projected, h, new, threads):
    """One step of every stream from h to new, B x D_h, not the same array; projected is written over. Returns what
    the layer above reads, h(t)."""
    _step(projected, h, new)
    return new


@jit
def _step(z, h, new):
    for b in range(h.shape[0]):
        _cell(z[b], h.shape[1], 0, h[b], new[b])
