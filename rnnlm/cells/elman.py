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
from rnnlm.kernels.blas import gemm
from rnnlm.kernels.jit import jit, parallel, prange
from rnnlm.kernels.shares import share

if TYPE_CHECKING:
    from rnnlm.buffers import Buffers

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
    hidden = h0.shape[1]
    projected = buffers.take("projected", (e.shape[0], hidden))
    h = buffers.take("h", (steps, batch, hidden))
    previous = buffers.take("previous", (steps, batch, hidden))
    _project(e, parameters["I"], parameters["b1"], projected, workers)
    _recur(projected, index, reset, h0, parameters["H"], ACTIVATIONS[activation], previous, h, workers)
    return h, previous


def backward(parameters, gradients, activation, e, index, reset, h, previous, dh, buffers: Buffers, workers):
    """The gradient of every parameter and of the inputs.

    Args:
        gradients: I, H, b1: written, not added to.
        dh: T x B x D_h, dJ/dh(t) from above; becomes delta1.

    Returns:
        de (n x d), each different input's gradient summed over where it was read, and dh0 (B x D_h).
    """
    steps, batch, hidden = h.shape
    dh0 = buffers.take("dh0", (batch, hidden))
    d_projected = buffers.take("d_projected", (e.shape[0], hidden))
    de = buffers.take("de", e.shape)
    _recur_back(h, reset, parameters["H"], ACTIVATIONS[activation], dh, dh0, workers)
    _weights_back(dh, index, previous, d_projected, gradients["H"], gradients["b1"], workers)
    _project_back(e, parameters["I"], d_projected, gradients["I"], de, workers)
    return de, dh0


@parallel
def _project(e, I, b1, projected, workers):
    """projected = e I + b1, for n different inputs."""
    for worker in prange(workers):
        start, stop = share(worker, workers, e.shape[0], 1)
        for i in range(start, stop):
            projected[i] = b1
        gemm(e[start:stop], I, projected[start:stop], False, False, True)


@parallel
def _project_back(e, I, d_projected, dI, de, workers):
    """Undoes `_project`: dI = e' d_projected, de = d_projected I'."""
    for worker in prange(workers):
        start, stop = share(worker, workers, e.shape[1], 16)
        gemm(e[:, start:stop], d_projected, dI[start:stop], True, False, False)
        start, stop = share(worker, workers, e.shape[0], 1)
        gemm(d_projected[start:stop], I, de[start:stop], False, True, False)


@parallel
def _recur(projected, index, reset, h0, H, activation, previous, h, workers):
    """The loop over time; each worker has its own streams."""
    for worker in prange(workers):
        start, stop = share(worker, workers, h0.shape[0], 1)
        if start < stop:
            _recur_streams(projected, index, reset, h0, H, activation, previous, h, start, stop)


@jit
def _recur_streams(projected, index, reset, h0, H, activation, previous, h, start, stop):
    for t in range(index.shape[0]):
        below = h0 if t == 0 else h[t - 1]
        for b in range(start, stop):
            if reset[t, b]:
                previous[t, b] = 0
            else:
                previous[t, b] = below[b]
            h[t, b] = projected[index[t, b]]
        gemm(previous[t, start:stop], H, h[t, start:stop], False, False, True)  # z1(t) = h(t-1) H + (e(t) I + b1)
        for b in range(start, stop):
            _activate(h[t, b], activation)  # h(t) = f(z1(t))


@parallel
def _recur_back(h, reset, H, activation, dh, dh0, workers):
    """Undoes `_recur`: dh becomes delta1."""
    for worker in prange(workers):
        start, stop = share(worker, workers, dh0.shape[0], 1)
        if start < stop:
            _recur_back_streams(h, reset, H, activation, dh, dh0, start, stop)


@jit
def _recur_back_streams(h, reset, H, activation, dh, dh0, start, stop):
    for t in range(h.shape[0] - 1, -1, -1):
        for b in range(start, stop):
            _activate_back(h[t, b], dh[t, b], activation)  # delta1(t) = dJ/dh(t) o f'(z1(t))
        below = dh0 if t == 0 else dh[t - 1]
        if t == 0:
            dh0[start:stop] = 0
        if not reset[t, start:stop].any():
            gemm(dh[t, start:stop], H, below[start:stop], False, True, True)  # dJ/dh(t-1) += delta1(t) H'
        else:
            for b in range(start, stop):
                if not reset[t, b]:
                    gemm(dh[t, b : b + 1], H, below[b : b + 1], False, True, True)


@parallel
def _weights_back(delta1, index, previous, d_projected, dH, db1, workers):
    """dH = sum_t h(t-1)' delta1(t); db1 = sum_t delta1(t); d_projected = delta1 summed by input. Columns are shared
    out."""
    steps, batch, hidden = delta1.shape
    rows = steps * batch
    flat, flat_previous, flat_index = (
        delta1.reshape(rows, hidden),
        previous.reshape(rows, hidden),
        index.reshape(rows),
    )
    for worker in prange(workers):
        start, stop = share(worker, workers, hidden, 16)
        if start < stop:
            gemm(flat_previous[:, start:stop], flat, dH[start:stop], True, False, False)
            _sum_by_input(flat, flat_index, d_projected, db1, start, stop)


@jit
def _sum_by_input(delta1, index, d_projected, db1, start, stop):
    d_projected[:, start:stop] = 0
    for row in range(delta1.shape[0]):
        target = d_projected[index[row]]
        for j in range(start, stop):
            target[j] += delta1[row, j]
    db1[start:stop] = 0
    for i in range(d_projected.shape[0]):
        for j in range(start, stop):
            db1[j] += d_projected[i, j]


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
