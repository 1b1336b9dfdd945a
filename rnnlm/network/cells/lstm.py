"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gates: Gers, Schmidhuber & Cummins 2000).

    [z_i z_f z_g z_o](t) = h(t-1) H + e(t) I + b1       I: d x 4 D_h   H: D_h x 4 D_h   b1: 4 D_h
    i = sigmoid(z_i)   f = sigmoid(z_f)   g = tanh(z_g)   o = sigmoid(z_o)
    c(t) = f o c(t-1) + i o g                            h(t) = o o tanh(c(t))

(The sign o between two vectors is the product number by number.) Blocks stand in PyTorch's order, i f g o. Options:

    peepholes   z_i and z_f get c(t-1) o P_i and c(t-1) o P_f, z_o gets c(t) o P_o      (Gers & Schmidhuber 2000)
    coupled     i = 1 - f; the blocks are f g o, P's rows f o                           (Greff et al. 2017, "CIFG")

Backward, with dJ/dc(t) first what step t+1 sends:

    dJ/dz_o = dJ/dh o tanh(c) o o o (1 - o)
    dJ/dc(t) += dJ/dh o o o (1 - tanh(c)^2)  (+ dJ/dz_o o P_o)
    dJ/dz_g = dJ/dc o i o (1 - g^2)
    dJ/dz_i = dJ/dc o g o i (1 - i)          dJ/dz_f = dJ/dc o c(t-1) o f (1 - f)
                                             coupled:  dJ/dc o (c(t-1) - g) o f (1 - f)
    dJ/dc(t-1) = dJ/dc o f  (+ dJ/dz_i o P_i + dJ/dz_f o P_f)
    dJ/dh(t-1) gets dJ/dz H'                 dJ/dP_i = sum_t dJ/dz_i o c(t-1), and so on

The state of a stream is h and c behind one another, 2 D_h numbers. Where `reset[t]` is set, step t sees 0 for both
and sends nothing back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise.activations import sigmoid, tanh
from rnnlm.kernels.elementwise.rows import clear, copy
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_rows
from rnnlm.kernels.matmul.layout import block_count, block_of, rows_at
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
    blocks = 3 if settings.coupled else 4
    result: dict[str, tuple[int, ...]] = {"I": (d, blocks * hidden), "H": (hidden, blocks * hidden)}
    result["b1"] = (blocks * hidden,)
    if settings.peepholes:
        result["P"] = (blocks - 1, hidden)
    return result


def state_size(hidden: int) -> int:
    """Numbers of a stream's state: h and c."""
    return 2 * hidden


def init(d: int, hidden: int, settings: Model, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights uniform in +-1/sqrt(D_h), as PyTorch has them; biases 0, those of the forget gates
    ``model.forget_bias`` (Jozefowicz et al. 2015)."""
    bound = 1 / np.sqrt(hidden)
    result = {name: generator.uniform(-bound, bound, shape) for name, shape in shapes(d, hidden, settings).items()}
    result["b1"][:] = 0
    forget = 0 if settings.coupled else hidden
    result["b1"][forget : forget + hidden] = settings.forget_bias
    return result


class Trace(NamedTuple):
    """What `forward` leaves for `backward`; lives until the next window."""

    h: np.ndarray  # T x B x D_h: h(t)
    previous: np.ndarray  # T x B x D_h: h(t-1) as step t saw it
    c: np.ndarray  # T x B x D_h: c(t)
    before: np.ndarray  # T x B x D_h: c(t-1) as step t saw it
    gates: np.ndarray  # T x B x 4 D_h: i f g o


def forward(parameters, settings, e, index, reset, state, workspace: Workspace, threads) -> Trace:
    """h(t) for every step of a window; see ``cells.elman.forward``. state: B x 2 D_h."""
    (steps, batch), H = index.shape, parameters["H"]
    hidden, width = H.shape
    h, previous, c, before = (
        workspace.take(name, (steps, batch, hidden)) for name in ("h", "previous", "c", "before")
    )
    gates = workspace.take("gates", (steps, batch, width))
    projected = recurrence.project(parameters, e, workspace, threads)
    h0, c0 = (np.ascontiguousarray(part) for part in (state[:, :hidden], state[:, hidden:]))
    _recur(
        threads, recurrence.by_columns(H, batch, threads), projected, index, reset, h0, c0, H, _peepholes(parameters),
        workspace.panels("packed_H", hidden, hidden, width // hidden),
        workspace.rows("previous_rows", steps, batch, hidden), previous, gates, before, c, h,
    )  # fmt: skip
    return Trace(h, previous, c, before, gates)


def state_after(trace: Trace, step: int) -> np.ndarray:
    """The state of every stream after a step, B x 2 D_h, a copy."""
    return np.concatenate([trace.h[step], trace.c[step]], axis=1)


@parallel
def _recur(
    thread,
    by_columns,
    projected,
    index,
    reset,
    h0,
    c0,
    H,
    P,
    packed_H,
    previous_rows,
    previous,
    gates,
    c_before,
    c,
    h,
):
    """The loop over time; each thread has its own streams, or its own columns of h."""
    batch, hidden = h0.shape
    blocks = block_count(packed_H)
    start, stop = partition(thread, hidden, 2 * LANES)
    pack_blocks(H, start, stop, packed_H)
    wait(thread)
    first, last, start, stop = part(thread, by_columns, batch, hidden)
    for t in range(index.shape[0]):
        take_over(h0 if t == 0 else h[t - 1], reset[t], first, last, start, stop, previous[t])
        take_over(c0 if t == 0 else c[t - 1], reset[t], first, last, start, stop, c_before[t])
        read_inputs(projected, index[t], first, last, start, stop, hidden, blocks, gates[t])
        before, rows = previous[t, first:last], rows_at(previous_rows, t, first, last)
        fill_rows(before, start, stop, rows)
        if by_columns:
            wait(thread)
        add_state(before, rows, start, stop, packed_H, 0, blocks, gates[t, first:last])
        for b in range(first, last):
            _cell(
                gates[t, b],
                hidden,
                start,
                stop,
                P,
                c_before[t, b, start:stop],
                c[t, b, start:stop],
                h[t, b, start:stop],
            )


@jit
def _cell(z, hidden, start, stop, P, before, c, h):
    """One stream's columns: z becomes i f g o; c(t) and h(t)."""
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
    for j in range(z.size):
        z[j] += a[j] * b[j]


@jit
def _sigmoid(z):
    for j in range(z.size):
        z[j] = sigmoid(z[j])


@jit
def _tanh(z):
    for j in range(z.size):
        z[j] = tanh(z[j])


def backward(parameters, gradients, settings, e, index, reset, trace: Trace, dh, workspace: Workspace, threads):
    """See ``cells.elman.backward``; the trace's gates become dJ/dz."""
    (steps, batch, hidden), H = dh.shape, parameters["H"]
    width = H.shape[1]
    dh0, dc = workspace.take("dh0", (batch, hidden)), workspace.take("dc", (batch, hidden))
    P = _peepholes(parameters)
    _recur_back(
        threads, recurrence.by_columns(H, batch, threads), reset, H, P, trace.before, trace.c,
        workspace.panels("packed_back", width, hidden), workspace.rows("delta_rows", steps, batch, width),
        trace.gates, dc, dh, dh0,
    )  # fmt: skip
    if P.size:
        _peepholes_back(threads, trace.gates, trace.before, trace.c, gradients["P"])
    d_projected = workspace.take("d_projected", (len(e), len(gradients["b1"])))
    recurrence.weights_back(trace.gates, index, trace.previous, gradients, d_projected, 0, workspace, threads)
    de = recurrence.project_back(parameters, e, d_projected, gradients, workspace, threads)
    return de, np.concatenate([dh0, dc], axis=1)


@parallel
def _recur_back(thread, by_columns, reset, H, P, c_before, c, packed_back, delta_rows, gates, dc, dh, dh0):
    """Undoes `_recur`: gates become dJ/dz; dc is dJ/dc(t), in the end that of the state before the window."""
    steps, batch, hidden = dh.shape
    width = H.shape[1]
    start, stop = partition(thread, hidden, 2 * LANES)
    pack_panels(H, True, start, stop, width, packed_back)
    wait(thread)
    first, last, start, stop = part(thread, by_columns, batch, hidden)
    for b in range(first, last):
        clear(dc[b, start:stop])
        clear(dh0[b, start:stop])
    for t in range(steps - 1, -1, -1):
        for b in range(first, last):
            _cell_back(
                gates[t, b], hidden, start, stop, P, c_before[t, b, start:stop], c[t, b, start:stop],
                dh[t, b, start:stop], dc[b, start:stop],
            )  # fmt: skip
            if reset[t, b]:
                clear(dc[b, start:stop])
        delta, rows, below = gates[t, first:last], rows_at(delta_rows, t, first, last), dh0 if t == 0 else dh[t - 1]
        one_by_one = fill_back(delta, reset[t, first:last], start, stop, hidden, rows)
        if by_columns:
            wait(thread)
        # dJ/dh(t-1) += dJ/dz(t) H'
        send_back(delta, rows, reset[t, first:last], one_by_one, packed_back, start, stop, below[first:last])


@jit
def _cell_back(z, hidden, start, stop, P, before, c, dh, dc):
    """Undoes `_cell`: z holds i f g o and becomes dJ/dz; dc comes as what step t+1 sent and becomes dJ/dc(t-1)."""
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


def _peepholes(parameters) -> np.ndarray:
    """P, or no rows of it."""
    found: np.ndarray | None = parameters.get("P")
    return np.empty((0, 0), parameters["H"].dtype) if found is None else found


@parallel
def _peepholes_back(thread, delta, before, c, dP):
    """dP = sum_t dJ/dz o c(t-1), for the output gate o c(t). Columns are shared out."""
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


def ready(parameters, settings, workspace: Workspace):
    """What `project` and `step` read, from weights that do not change any more."""
    H = parameters["H"]
    hidden, width = H.shape
    packed_H = workspace.panels("packed_H", hidden, hidden, width // hidden)
    recurrence.pack_all_blocks(H, packed_H)
    return recurrence.ready_projection(parameters, workspace), packed_H, _peepholes(parameters)


def project(packed, e, projected, threads):
    """What a step gets from below: projected = e I + b1, n x 4 D_h, for the n rows of e."""
    recurrence.project_ready(packed[0], e, projected, threads)


def step(packed, projected, state, new, threads):
    """One step of every stream from `state` to `new`, B x 2 D_h, not the same array; projected is written over.
    Returns what the layer above reads, h(t), B x D_h."""
    batch, hidden = state.shape[0], state.shape[1] // 2
    h = np.empty((batch, hidden), state.dtype)
    _step(recurrence.threads_for(batch * projected.shape[1] * hidden, threads), *packed[1:], projected, state, new, h)
    return h


@parallel
def _step(thread, packed_H, P, z, state, new, h):
    """Each thread has its own columns."""
    batch, hidden = h.shape
    start, stop = partition(thread, hidden, 2 * LANES)
    before = state[:, :hidden]
    for block in range(block_count(packed_H)):
        left = block * hidden
        multiply_rows(before, hidden, block_of(packed_H, block), start, stop, z[:, left : left + hidden], True)
    for b in range(batch):
        c = slice(hidden + start, hidden + stop)
        _cell(z[b], hidden, start, stop, P, state[b, c], new[b, c], h[b, start:stop])
        copy(h[b, start:stop], new[b, start:stop])
