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

from typing import TYPE_CHECKING

import numpy as np

from rnnlm.kernels import maths
from rnnlm.kernels.barrier import meet
from rnnlm.kernels.jit import jit
from rnnlm.kernels.lanes import LANES32 as LANES
from rnnlm.kernels.lanes import ROWS
from rnnlm.kernels.packing import clear_row, depth, fill_columns, fill_rows, operand, pack_panels
from rnnlm.kernels.product import multiply_columns, multiply_rows
from rnnlm.kernels.rows import add, clear, copy
from rnnlm.kernels.shares import share
from rnnlm.kernels.team import parallel

if TYPE_CHECKING:
    from rnnlm.buffers import Buffers

# Bytes of H that stay in a core's second cache; columns that are worth a worker of their own.
_CACHED, _LEAST_COLUMNS = 768 << 10, 64
# Multiplications of a single step that one worker is done with before another is awake.
_ALONE = 1 << 19

SIGMOID, TANH, RELU = 0, 1, 2
ACTIVATIONS = {"sigmoid": SIGMOID, "tanh": TANH, "relu": RELU}


def shapes(d: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Parameters by name."""
    return {"I": (d, hidden), "H": (hidden, hidden), "b1": (hidden,)}


def init(d: int, hidden: int, activation: str, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights uniform in +-1/sqrt(rows), H orthogonal (Saxe et al. 2014), b1 = 0.

    A sigmoid network starts as the tanh network that it is in disguise: with h = (1 + g) / 2,

        g(t) = tanh(g(t-1) H/4 + e(t) I/2 + (b1 + s/2) / 2)      s: the sum of the rows of H

    So H is four times and I twice as large, and b1 takes away what the mean h = 1/2 brings. Otherwise its units start
    saturated and its gradients vanish at once.
    """
    orthogonal, upper = np.linalg.qr(generator.standard_normal((hidden, hidden)))
    H = orthogonal * np.sign(np.diagonal(upper))
    bound = 1 / np.sqrt(d)
    I = generator.uniform(-bound, bound, (d, hidden))
    if activation == "sigmoid":
        H, I = 4 * H, 2 * I
        return {"I": I, "H": H, "b1": -H.sum(axis=0) / 2}
    return {"I": I, "H": H, "b1": np.zeros(hidden)}


def forward(parameters, activation, e, index, reset, h0, buffers: Buffers, workers):
    """h(t) for every step of a window.

    Args:
        parameters: I (d x D_h), H (D_h x D_h), b1 (D_h).
        activation: a key of ACTIVATIONS.
        e: n x d, the different inputs; index: T x B int32 into its rows.
        reset: T x B bool; h0: B x D_h, the state before the window.
        buffers: where the results live until the next window.

    Returns:
        h (T x B x D_h) and previous (T x B x D_h), both needed by `backward`.
    """
    steps, batch = index.shape
    (n, d), hidden = e.shape, h0.shape[1]
    projected = buffers.take("projected", (n, hidden))
    h = buffers.take("h", (steps, batch, hidden))
    previous = buffers.take("previous", (steps, batch, hidden))
    _project(
        workers, e, parameters["I"], parameters["b1"], buffers.rows("e_rows", n, d),
        buffers.panels("packed_I", d, hidden), projected,
    )  # fmt: skip
    _recur(
        workers, _by_columns(parameters["H"], batch, workers), projected, index, reset, h0, parameters["H"],
        ACTIVATIONS[activation], buffers.panels("packed_H", hidden, hidden),
        buffers.rows("previous_rows", steps, batch, hidden), previous, h,
    )  # fmt: skip
    return h, previous


@parallel
def _project(worker, workers, meetings, e, I, b1, e_rows, packed_I, projected):
    """projected = e I + b1, for n different inputs; each worker has its own columns."""
    (n, d), hidden = e.shape, I.shape[1]
    first, last = share(worker, workers, n, ROWS)  # whole tiles
    fill_rows(e[first:last], 0, d, e_rows[first:last])
    start, stop = share(worker, workers, hidden, 2 * LANES)
    pack_panels(I, False, start, stop, d, packed_I)
    for i in range(n):
        copy(b1[start:stop], projected[i, start:stop])
    meet(meetings, worker, workers)
    multiply_rows(operand(e, e_rows), depth(packed_I, d), packed_I, start, stop, projected, True)


@parallel
def _recur(
    worker,
    workers,
    meetings,
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
    """The loop over time; each worker has its own streams, or its own columns of h."""
    batch, hidden = h0.shape
    start, stop = share(worker, workers, hidden, 2 * LANES)
    pack_panels(H, False, start, stop, hidden, packed_H)
    meet(meetings, worker, workers)
    first, last, start, stop = _part(worker, workers, by_columns, batch, hidden)
    deep = depth(packed_H, hidden)
    for t in range(index.shape[0]):
        below = h0 if t == 0 else h[t - 1]
        for b in range(first, last):
            if reset[t, b]:
                clear(previous[t, b, start:stop])
            else:
                copy(below[b, start:stop], previous[t, b, start:stop])
            copy(projected[index[t, b], start:stop], h[t, b, start:stop])
        before, z, before_rows = previous[t, first:last], h[t, first:last], previous_rows[t, first:last]
        fill_rows(before, start, stop, before_rows)
        if by_columns:
            meet(meetings, worker, workers)
        multiply_rows(operand(before, before_rows), deep, packed_H, start, stop, z, True)  # z1(t) = h(t-1) H + ...
        for b in range(last - first):
            _activate(z[b, start:stop], activation)  # h(t) = f(z1(t))


def backward(parameters, gradients, activation, e, index, reset, h, previous, dh, buffers: Buffers, workers):
    """The gradient of every parameter and of the inputs.

    Args:
        gradients: I, H, b1: written, not added to.
        dh: T x B x D_h, dJ/dh(t) from above; becomes delta1.

    Returns:
        de (n x d), each different input's gradient summed over where it was read, and dh0 (B x D_h).
    """
    steps, batch, hidden = h.shape
    n, d = e.shape
    dh0 = buffers.take("dh0", (batch, hidden))
    d_projected = buffers.take("d_projected", (n, hidden))
    de = buffers.take("de", e.shape)
    _recur_back(
        workers, _by_columns(parameters["H"], batch, workers), h, reset, parameters["H"], ACTIVATIONS[activation],
        buffers.panels("packed_H", hidden, hidden), buffers.rows("delta_rows", steps, batch, hidden), dh, dh0,
    )  # fmt: skip
    _weights_back(
        workers, dh, index, previous, buffers.columns("previous_columns", steps * batch, hidden),
        buffers.panels("packed_delta", steps * batch, hidden), d_projected, gradients["H"], gradients["b1"],
    )  # fmt: skip
    _project_back(
        workers, e, parameters["I"], d_projected, buffers.columns("e_columns", n, d),
        buffers.panels("packed_projected", n, hidden), buffers.rows("projected_rows", n, hidden),
        buffers.panels("packed_I", hidden, d), gradients["I"], de,
    )  # fmt: skip
    return de, dh0


@parallel
def _recur_back(worker, workers, meetings, by_columns, h, reset, H, activation, packed_H, delta_rows, dh, dh0):
    """Undoes `_recur`: dh becomes delta1."""
    steps, batch, hidden = h.shape
    start, stop = share(worker, workers, hidden, 2 * LANES)
    pack_panels(H, True, start, stop, hidden, packed_H)
    meet(meetings, worker, workers)
    first, last, start, stop = _part(worker, workers, by_columns, batch, hidden)
    deep = depth(packed_H, hidden)
    for t in range(steps - 1, -1, -1):
        for b in range(first, last):
            _activate_back(h[t, b, start:stop], dh[t, b, start:stop], activation)  # delta1(t) = dJ/dh(t) o f'(z1(t))
        delta1, pairs = dh[t, first:last], delta_rows[t, first:last]
        fill_rows(delta1, start, stop, pairs)
        one_by_one = False
        for b in range(last - first):
            if reset[t, first + b] and not clear_row(pairs, last - first, b, start, stop):
                one_by_one = True
        below = (dh0 if t == 0 else dh[t - 1])[first:last]
        if t == 0:
            for b in range(last - first):
                clear(below[b, start:stop])
        if by_columns:
            meet(meetings, worker, workers)
        # dJ/dh(t-1) += delta1(t) H', but where the state was reset
        if one_by_one:
            for b in range(last - first):
                if not reset[t, first + b]:
                    one = delta1[b : b + 1]
                    multiply_rows(operand(one, pairs), deep, packed_H, start, stop, below[b : b + 1], True)
        else:
            multiply_rows(operand(delta1, pairs), deep, packed_H, start, stop, below, True)


@parallel
def _weights_back(
    worker, workers, meetings, delta1, index, previous, previous_columns, packed_delta, d_projected, dH, db1
):
    """dH = sum_t h(t-1)' delta1(t); db1 = sum_t delta1(t); d_projected = delta1 summed by input. Columns are shared
    out."""
    steps, batch, hidden = delta1.shape
    rows = steps * batch
    flat, flat_previous = delta1.reshape((rows, hidden)), previous.reshape((rows, hidden))
    first, last = share(worker, workers, rows, 2)
    fill_columns(flat_previous[first:last], previous_columns[first // 2 : (last + 1) // 2])
    start, stop = share(worker, workers, hidden, 2 * LANES)
    pack_panels(flat, False, start, stop, rows, packed_delta)
    meet(meetings, worker, workers)
    before = operand(flat_previous, previous_columns)
    multiply_columns(before, depth(packed_delta, rows), packed_delta, start, stop, dH, False)
    _sum_by_input(flat, index.reshape(rows), d_projected, db1, start, stop)


@parallel
def _project_back(
    worker, workers, meetings, e, I, d_projected, e_columns, packed_projected, projected_rows, packed_I, dI, de
):
    """Undoes `_project`: dI = e' d_projected, de = d_projected I'. Columns are shared out."""
    (n, d), hidden = e.shape, I.shape[1]
    first, last = share(worker, workers, n, 2)
    fill_columns(e[first:last], e_columns[first // 2 : (last + 1) // 2])
    start, stop = share(worker, workers, hidden, 2 * LANES)
    fill_rows(d_projected, start, stop, projected_rows)
    pack_panels(d_projected, False, start, stop, n, packed_projected)
    meet(meetings, worker, workers)
    multiply_columns(operand(e, e_columns), depth(packed_projected, n), packed_projected, start, stop, dI, False)
    start, stop = share(worker, workers, d, 2 * LANES)
    pack_panels(I, True, start, stop, hidden, packed_I)
    multiply_rows(operand(d_projected, projected_rows), depth(packed_I, hidden), packed_I, start, stop, de, False)


def ready(parameters, buffers: Buffers):
    """What `project` and `step` read, from weights that do not change any more."""
    d, hidden = parameters["I"].shape
    packed_I, packed_H = buffers.panels("packed_I", d, hidden), buffers.panels("packed_H", hidden, hidden)
    _pack_all(parameters["I"], parameters["H"], packed_I, packed_H)
    return packed_I, parameters["b1"], packed_H


def project(packed, e, projected, workers):
    """What a step gets from below: projected = e I + b1, n x D_h, for the n rows of e."""
    packed_I, b1, _ = packed
    _project_rows(workers if e.size * b1.size > _ALONE else 1, packed_I, b1, e, projected)


def step(packed, activation, projected, h, new, workers):
    """One step of every stream: new = f(h H + projected), all B x D_h; h and new not the same array."""
    _step(workers if h.size * h.shape[1] > _ALONE else 1, packed[2], ACTIVATIONS[activation], projected, h, new)


@jit
def _pack_all(I, H, packed_I, packed_H):
    pack_panels(I, False, 0, I.shape[1], I.shape[0], packed_I)
    pack_panels(H, False, 0, H.shape[1], H.shape[0], packed_H)


@parallel
def _project_rows(worker, workers, packed_I, b1, e, projected):
    """Each worker has its own columns."""
    start, stop = share(worker, workers, b1.size, 2 * LANES)
    for i in range(e.shape[0]):
        copy(b1[start:stop], projected[i, start:stop])
    multiply_rows(e, e.shape[1], packed_I, start, stop, projected, True)


@parallel
def _step(worker, workers, packed_H, activation, projected, h, new):
    """Each worker has its own columns."""
    start, stop = share(worker, workers, h.shape[1], 2 * LANES)
    for b in range(h.shape[0]):
        copy(projected[b, start:stop], new[b, start:stop])
    multiply_rows(h, h.shape[1], packed_H, start, stop, new, True)
    for b in range(h.shape[0]):
        _activate(new[b, start:stop], activation)


@jit
def _part(worker, workers, by_columns, batch, hidden):
    """One worker's streams, first ... last, and its columns of h, start ... stop, in the loop over time: all of
    one."""
    if by_columns:
        start, stop = share(worker, workers, hidden, 2 * LANES)
        return 0, batch, start, stop
    first, last = share(worker, workers, batch, 1)
    return first, last, 0, hidden


def _by_columns(H, batch, workers):
    """Whether workers share out the columns of H, waiting for each other at every step, instead of the streams: where
    there are fewer streams than workers, or where H does not stay in a core's second cache."""
    return workers > 1 and (batch < workers or H.nbytes > _CACHED) and H.shape[0] >= _LEAST_COLUMNS * workers


@jit
def _sum_by_input(delta1, index, d_projected, db1, start, stop):
    for i in range(d_projected.shape[0]):
        clear(d_projected[i, start:stop])
    for row in range(delta1.shape[0]):
        add(delta1[row, start:stop], d_projected[index[row], start:stop])
    clear(db1[start:stop])
    for i in range(d_projected.shape[0]):
        add(d_projected[i, start:stop], db1[start:stop])


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
