"""The Elman network (Elman 1990, "Finding structure in time"; with word vectors as in Mikolov et al. 2010).

One window is T steps of B parallel streams; row vectors; step t = 0 .. T-1.

    z1(t) = h(t-1) H + e(t) I + b1        1 x D_h      H: D_h x D_h   I: d x D_h   b1: D_h
    h(t)  = f(z1(t))                      f = sigmoid | tanh | relu

    delta1(t) = dJ/dh(t) o f'(z1(t))      sigmoid: h o (1 - h)   tanh: 1 - h o h   relu: h > 0
    dJ/dh(t-1) gets delta1(t) H'          beside what the layer above sends down
    dJ/dH = sum_t h(t-1)' delta1(t)       dJ/dI = sum_t e(t)' delta1(t)       dJ/db1 = sum_t delta1(t)
    dJ/de(t) = delta1(t) I'

Time convention: ``h[t]`` is h(t); ``previous[t]`` is h(t-1) as step t saw it: h0 for t = 0, and 0 for a stream whose
``reset[t]`` is set (its line has ended). Where reset is set nothing flows from step t back to step t-1 either.

Inputs come as rows and an index: ``e`` (n x d) holds n different input vectors and ``index`` (T x B) says which one
step t of stream b reads. For the first layer these are the window's distinct tokens, so each is projected once (e I
is n x D_h, not T B x D_h) and its gradient is summed before it goes back through I.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise import activations as maths
from rnnlm.kernels.elementwise.rows import clear, copy
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_rows
from rnnlm.kernels.matmul.layout import rows_at
from rnnlm.kernels.matmul.pack import fill_rows, pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.cells import recurrence
from rnnlm.network.cells.initializers import orthogonal
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

SIGMOID, TANH, RELU = 0, 1, 2
ACTIVATIONS = {"sigmoid": SIGMOID, "tanh": TANH, "relu": RELU}


def shapes(d: int, hidden: int, settings: Model) -> dict[str, tuple[int, ...]]:
    """Parameters by name."""
    return {"I": (d, hidden), "H": (hidden, hidden), "b1": (hidden,)}


def state_size(hidden: int) -> int:
    """Numbers of a stream's state: h."""
    return hidden


def init(d: int, hidden: int, settings: Model, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights uniform in +-1/sqrt(rows), H orthogonal (Saxe et al. 2014), b1 = 0.

    A sigmoid network starts as the tanh network that it is in disguise: with h = (1 + g) / 2,

        g(t) = tanh(g(t-1) H/4 + e(t) I/2 + (b1 + s/2) / 2)      s: the sum of the rows of H

    So H is four times and I twice as large, and b1 takes away what the mean h = 1/2 brings. Otherwise its units start
    saturated and its gradients vanish at once. With ``model.init`` I and H are drawn elsewhere, and b1 = 0.
    """
    H = orthogonal(hidden, hidden, generator)
    bound = 1 / np.sqrt(d)
    I = generator.uniform(-bound, bound, (d, hidden))
    if settings.activation == "sigmoid" and settings.init is None:
        H, I = 4 * H, 2 * I
        return {"I": I, "H": H, "b1": -H.sum(axis=0) / 2}
    return {"I": I, "H": H, "b1": np.zeros(hidden)}


class Trace(NamedTuple):
    """What `forward` leaves for `backward`; lives until the next window."""

    h: np.ndarray  # T x B x D_h: h(t)
    previous: np.ndarray  # T x B x D_h: h(t-1) as step t saw it


def forward(parameters, settings, e, index, reset, state, workspace: Workspace, threads) -> Trace:
    """h(t) for every step of a window.

    Args:
        parameters: I (d x D_h), H (D_h x D_h), b1 (D_h).
        settings: the section `model`.
        e: n x d, the different inputs; index: T x B int32 into its rows.
        reset: T x B bool; state: B x D_h, h before the window.
        workspace: where the results live until the next window.
    """
    (steps, batch), hidden, H = index.shape, state.shape[1], parameters["H"]
    h, previous = (workspace.take(name, (steps, batch, hidden)) for name in ("h", "previous"))
    projected = recurrence.project(parameters, e, workspace, threads)
    _recur(
        threads, recurrence.by_columns(H, batch, threads), projected, index, reset, state, H,
        ACTIVATIONS[settings.activation], workspace.panels("packed_H", hidden, hidden, 1),
        workspace.rows("previous_rows", steps, batch, hidden), previous, h,
    )  # fmt: skip
    return Trace(h, previous)


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
    activation,
    packed_H,
    previous_rows,
    previous,
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
        read_inputs(projected, index[t], first, last, start, stop, hidden, 1, h[t])
        before, z, rows = previous[t, first:last], h[t, first:last], rows_at(previous_rows, t, first, last)
        fill_rows(before, start, stop, rows)
        if by_columns:
            wait(thread)
        add_state(before, rows, start, stop, packed_H, 0, 1, z)  # z1(t) = h(t-1) H + ...
        for b in range(last - first):
            _activate(z[b, start:stop], activation)  # h(t) = f(z1(t))


def backward(parameters, gradients, settings, e, index, reset, trace: Trace, dh, workspace: Workspace, threads):
    """The gradient of every parameter and of the inputs.

    Args:
        gradients: I, H, b1: written, not added to.
        dh: T x B x D_h, dJ/dh(t) from above; becomes delta1.

    Returns:
        de (n x d), each different input's gradient summed over where it was read, and that of the state before the
        window (B x D_h).
    """
    (steps, batch, hidden), H = dh.shape, parameters["H"]
    dh0 = workspace.take("dh0", (batch, hidden))
    _recur_back(
        threads, recurrence.by_columns(H, batch, threads), trace.h, reset, H, ACTIVATIONS[settings.activation],
        workspace.panels("packed_H", hidden, hidden), workspace.rows("delta_rows", steps, batch, hidden), dh, dh0,
    )  # fmt: skip
    d_projected = workspace.take("d_projected", (len(e), len(gradients["b1"])))
    recurrence.weights_back(dh, index, trace.previous, gradients, d_projected, 0, workspace, threads)
    return recurrence.project_back(parameters, e, d_projected, gradients, workspace, threads), dh0


@parallel
def _recur_back(thread, by_columns, h, reset, H, activation, packed_H, delta_rows, dh, dh0):
    """Undoes `_recur`: dh becomes delta1."""
    steps, batch, hidden = h.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    pack_panels(H, True, start, stop, hidden, packed_H)
    wait(thread)
    first, last, start, stop = part(thread, by_columns, batch, hidden)
    for b in range(first, last):
        clear(dh0[b, start:stop])
    for t in range(steps - 1, -1, -1):
        for b in range(first, last):
            _activate_back(h[t, b, start:stop], dh[t, b, start:stop], activation)  # delta1(t) = dJ/dh(t) o f'(z1(t))
        delta1, rows, below = dh[t, first:last], rows_at(delta_rows, t, first, last), dh0 if t == 0 else dh[t - 1]
        one_by_one = fill_back(delta1, reset[t, first:last], start, stop, hidden, rows)
        if by_columns:
            wait(thread)
        # dJ/dh(t-1) += delta1(t) H'
        send_back(delta1, rows, reset[t, first:last], one_by_one, packed_H, start, stop, below[first:last])


def ready(parameters, settings, workspace: Workspace):
    """What `project` and `step` read, from weights that do not change any more."""
    H = parameters["H"]
    packed_H = workspace.panels("packed_H", *H.shape)
    recurrence.pack(H, packed_H)
    return recurrence.ready_projection(parameters, workspace), packed_H, ACTIVATIONS[settings.activation]


def project(packed, e, projected, threads):
    """What a step gets from below: projected = e I + b1, n x D_h, for the n rows of e."""
    recurrence.project_ready(packed[0], e, projected, threads)


def step(packed, projected, h, new, threads):
    """One step of every stream: new = f(h H + projected), all B x D_h; h and new not the same array. Returns what the
    layer above reads, h(t)."""
    _step(recurrence.threads_for(h.size * h.shape[1], threads), *packed[1:], projected, h, new)
    return new


@parallel
def _step(thread, packed_H, activation, projected, h, new):
    """Each thread has its own columns."""
    start, stop = partition(thread, h.shape[1], 2 * LANES)
    for b in range(h.shape[0]):
        copy(projected[b, start:stop], new[b, start:stop])
    multiply_rows(h, h.shape[1], packed_H, start, stop, new, True)
    for b in range(h.shape[0]):
        _activate(new[b, start:stop], activation)


@jit
def _activate(z, activation):
    if activation == SIGMOID:
        for j in range(z.size):
            z[j] = maths.sigmoid(z[j])
    elif activation == TANH:
        for j in range(z.size):
            z[j] = maths.tanh(z[j])
    else:
        zero = z.dtype.type(0)
        for j in range(z.size):
            z[j] = zero if z[j] < zero else z[j]  # a NaN stays a NaN


@jit
def _activate_back(h, dh, activation):
    one, zero = h.dtype.type(1), h.dtype.type(0)
    if activation == SIGMOID:
        for j in range(h.size):
            dh[j] *= h[j] * (one - h[j])
    elif activation == TANH:
        for j in range(h.size):
            dh[j] *= one - h[j] * h[j]
    else:
        for j in range(h.size):
            dh[j] = dh[j] if h[j] > zero else zero
