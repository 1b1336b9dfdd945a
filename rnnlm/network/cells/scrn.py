"""The structurally constrained recurrent network (Mikolov et al. 2014, "Learning longer memory in recurrent neural
networks"): an Elman network beside units that only blend, and so forget slowly.

    s(t) = (1 - a) e(t) I_s + a s(t-1)                         slow: 1 x C      a: model.context_decay
    h(t) = sigmoid(h(t-1) H_h + s(t) H_s + e(t) I_h + b1)      fast: 1 x F      C: model.context   F = D_h - C

(The paper writes B for I_s, R for H_h, P for H_s and A for I_h, and has no b1.) What is above reads both, [h s](t),
which is the state too, D_h numbers. The parameters are I = [I_h I_s]: d x D_h; H, which is H_h above H_s: D_h x F;
and b1: F. So what step t multiplies by H is x(t) = [h(t-1) s(t)]: s does not wait for h.

Backward:

    delta1(t) = dJ/dh(t) o h(t) o (1 - h(t))         dJ/dh(t-1) gets delta1(t) H_h'
    dJ/ds(t) gets delta1(t) H_s'                     dJ/ds(t-1) gets a dJ/ds(t)
    dJ/dH = sum_t x(t)' delta1(t)                    dJ/db1 = sum_t delta1(t)
    dJ/d(e(t) I) = [delta1(t)  (1 - a) dJ/ds(t)]

(The sign o between two vectors is the product number by number.) h does not wait for s on the way back: first it runs
through time alone, as in ``cells.elman``, then delta1 H_s' of the whole window is one product, and what is left is a
scan.

Where `reset[t]` is set, step t sees 0 for h(t-1) and s(t-1) and sends nothing back to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.cpu import ROWS
from rnnlm.kernels.elementwise import activations as maths
from rnnlm.kernels.elementwise.rows import clear, copy
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_rows
from rnnlm.kernels.matmul.layout import depth, operand, rows_at, rows_of
from rnnlm.kernels.matmul.pack import fill_rows, pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.cells import elman, recurrence
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
    fast = hidden - settings.context
    return {"I": (d, hidden), "H": (hidden, fast), "b1": (fast,)}


def state_size(hidden: int) -> int:
    """Numbers of a stream's state: h and s."""
    return hidden


def init(d: int, hidden: int, settings: Model, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """The fast units start as a sigmoid Elman network (``cells.elman.init``): H_h four times orthogonal, I_h uniform
    in +-2/sqrt(d), and b1 takes away what the mean h = 1/2 brings. I_s is uniform in +-1/sqrt(d), H_s in
    +-1/sqrt(C)."""
    context = settings.context
    fast = elman.init(d, hidden - context, settings, generator)
    I_s = generator.uniform(-1, 1, (d, context)) / np.sqrt(d)
    H_s = generator.uniform(-1, 1, (context, hidden - context)) / np.sqrt(context)
    return {"I": np.hstack([fast["I"], I_s]), "H": np.vstack([fast["H"], H_s]), "b1": fast["b1"]}


class Trace(NamedTuple):
    """What `forward` leaves for `backward`; lives until the next window."""

    h: np.ndarray  # T x B x D_h: [h(t) s(t)]
    previous: np.ndarray  # T x B x D_h: x(t) = [h(t-1) s(t)], h(t-1) as step t saw it


def forward(parameters, settings, e, index, reset, state, workspace: Workspace, threads) -> Trace:
    """[h s](t) for every step of a window; see ``cells.elman.forward``."""
    (steps, batch), hidden, H = index.shape, state.shape[1], parameters["H"]
    h, previous = (workspace.take(name, (steps, batch, hidden)) for name in ("h", "previous"))
    projected = recurrence.project(parameters | {"b1": _biases(parameters)}, e, workspace, threads)
    _recur(
        threads, recurrence.by_columns(H[: H.shape[1]], batch, threads), projected, index, reset, state, H,
        h.dtype.type(settings.context_decay), workspace.panels("packed_H", hidden, H.shape[1], 1),
        workspace.rows("previous_rows", steps, batch, hidden), previous, h,
    )  # fmt: skip
    return Trace(h, previous)


def _biases(parameters) -> np.ndarray:
    """b1, and 0 for the slow units, which have none."""
    b1 = parameters["b1"]
    return np.pad(b1, (0, parameters["I"].shape[1] - b1.size))


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
    state,
    H,
    a,
    packed_H,
    previous_rows,
    previous,
    h,
):
    """The loop over time; each thread has its own streams, or its own columns of h, and s goes with the last of
    them."""
    batch, fast = index.shape[1], H.shape[1]
    start, stop = partition(thread, fast, 2 * LANES)
    pack_blocks(H, start, stop, packed_H)
    wait(thread)
    first, last, start, stop = part(thread, by_columns, batch, fast)
    end = H.shape[0] if stop == fast else stop
    for t in range(index.shape[0]):
        below = state if t == 0 else h[t - 1]
        take_over(below, reset[t], first, last, start, end, previous[t])
        read_inputs(projected, index[t], first, last, start, end, fast, 1, h[t])
        for b in range(first, last):
            _slow(a, h[t, b, stop:end], previous[t, b, stop:end])
        before, z, rows = previous[t, first:last], h[t, first:last], rows_at(previous_rows, t, first, last)
        fill_rows(before, start, end, rows)
        if by_columns:
            wait(thread)
        add_state(before, rows, start, stop, packed_H, 0, 1, z)  # z1(t) = [h(t-1) s(t)] H + ...
        for b in range(last - first):
            _sigmoid(z[b, start:stop])


@jit
def _slow(a, s, before):
    """One stream: s comes as e(t) I_s, before as s(t-1); both become s(t)."""
    rest = s.dtype.type(1) - a
    for j in range(s.size):
        s[j] = rest * s[j] + a * before[j]
    copy(s, before)


@jit
def _sigmoid(z):
    for j in range(z.size):
        z[j] = maths.sigmoid(z[j])


def backward(parameters, gradients, settings, e, index, reset, trace: Trace, dh, workspace: Workspace, threads):
    """See ``cells.elman.backward``; dh becomes dJ/d[h s]."""
    (steps, batch, hidden), H = dh.shape, parameters["H"]
    fast = H.shape[1]
    H_h, H_s = H[:fast], H[fast:]
    d_state, delta1 = workspace.take("d_state", (batch, hidden)), workspace.take("delta1", (steps, batch, fast))
    _recur_back(
        threads, recurrence.by_columns(H_h, batch, threads), trace.h, reset, H_h,
        workspace.panels("packed_back", fast, fast), workspace.rows("delta_rows", steps, batch, fast),
        delta1, dh, d_state,
    )  # fmt: skip
    d_projected = workspace.take("d_projected", (len(e), hidden))
    _slow_back(
        threads, index, reset, H_s, dh.dtype.type(settings.context_decay),
        workspace.panels("packed_slow", fast, hidden - fast), workspace.rows("slow_rows", steps * batch, fast),
        delta1, dh, d_state, d_projected,
    )  # fmt: skip
    recurrence.weights_back(delta1, index, trace.previous, gradients, d_projected, 0, workspace, threads)
    return recurrence.project_back(parameters, e, d_projected, gradients, workspace, threads), d_state


@parallel
def _recur_back(thread, by_columns, h, reset, H_h, packed_back, delta_rows, delta1, dh, d_state):
    """Undoes `_recur` but for s: makes delta1 and the whole of dJ/dh."""
    steps, batch, fast = delta1.shape
    start, stop = partition(thread, fast, 2 * LANES)
    pack_panels(H_h, True, start, stop, fast, packed_back)
    wait(thread)
    first, last, start, stop = part(thread, by_columns, batch, fast)
    for b in range(first, last):
        clear(d_state[b, start:stop])
    for t in range(steps - 1, -1, -1):
        for b in range(first, last):
            _sigmoid_back(h[t, b, start:stop], dh[t, b, start:stop], delta1[t, b, start:stop])
        delta, rows = delta1[t, first:last], rows_at(delta_rows, t, first, last)
        below = d_state if t == 0 else dh[t - 1]
        one_by_one = fill_back(delta, reset[t, first:last], start, stop, fast, rows)
        if by_columns:
            wait(thread)
        # dJ/dh(t-1) += delta1(t) H_h'
        send_back(delta, rows, reset[t, first:last], one_by_one, packed_back, start, stop, below[first:last])


@jit
def _sigmoid_back(h, dh, delta):
    one = h.dtype.type(1)
    for j in range(h.size):
        delta[j] = dh[j] * h[j] * (one - h[j])


@parallel
def _slow_back(thread, index, reset, H_s, a, packed_slow, slow_rows, delta1, dh, d_state, d_projected):
    """Undoes `_slow` and the product of s with H: the whole of dJ/ds, and what it gives to each different input."""
    steps, batch, fast = delta1.shape
    hidden, context, rows = dh.shape[2], H_s.shape[0], steps * batch
    start, stop = partition(thread, context, 2 * LANES)
    pack_panels(H_s, True, start, stop, fast, packed_slow)
    wait(thread)
    first, last = partition(thread, rows, ROWS)  # whole tiles
    own, pairs = delta1.reshape((rows, fast))[first:last], rows_of(slow_rows, first, last)
    fill_rows(own, 0, fast, pairs)
    multiply_rows(  # dJ/ds(t) += delta1(t) H_s'
        operand(own, pairs), depth(packed_slow, fast), packed_slow, 0, context,
        dh.reshape((rows, hidden))[first:last, fast:], True,
    )  # fmt: skip
    wait(thread)
    start, stop = partition(thread, context, LANES)
    start, stop = fast + start, fast + stop
    for i in range(d_projected.shape[0]):
        clear(d_projected[i, start:stop])
    for b in range(batch):
        clear(d_state[b, start:stop])
    rest = dh.dtype.type(1) - a
    for t in range(steps - 1, -1, -1):
        below = d_state if t == 0 else dh[t - 1]
        for b in range(batch):
            ds = dh[t, b, start:stop]
            _add_share(rest, ds, d_projected[index[t, b], start:stop])
            if not reset[t, b]:
                _add_share(a, ds, below[b, start:stop])


@jit
def _add_share(factor, source, target):
    """target += factor source."""
    for j in range(target.size):
        target[j] += factor * source[j]


def ready(parameters, settings, workspace: Workspace):
    """What `project` and `step` read, from weights that do not change any more."""
    H = parameters["H"]
    packed_H = workspace.panels("packed_H", *H.shape)
    recurrence.pack(H, packed_H)
    projection = recurrence.ready_projection(parameters | {"b1": _biases(parameters)}, workspace)
    return projection, packed_H, H.shape[1], H.dtype.type(settings.context_decay)


def project(packed, e, projected, threads):
    """What a step gets from below: projected = e I, of the fast units + b1, n x D_h, for the n rows of e."""
    recurrence.project_ready(packed[0], e, projected, threads)


def step(packed, projected, state, new, threads):
    """One step of every stream from `state` to `new`, B x D_h, not the same array. Returns what the layer above
    reads, [h s](t)."""
    x = np.empty_like(state)
    _step(recurrence.threads_for(state.size * packed[2], threads), *packed[1:], projected, state, x, new)
    return new


@parallel
def _step(thread, packed_H, fast, a, projected, state, x, new):
    """Each thread has its own columns, the last one s too."""
    batch, hidden = state.shape
    start, stop = partition(thread, fast, 2 * LANES)
    end = hidden if stop == fast else stop
    for b in range(batch):
        copy(state[b, start:end], x[b, start:end])
        copy(projected[b, start:end], new[b, start:end])
        _slow(a, new[b, stop:end], x[b, stop:end])
    wait(thread)
    multiply_rows(x, hidden, packed_H, start, stop, new, True)
    for b in range(batch):
        _sigmoid(new[b, start:stop])
