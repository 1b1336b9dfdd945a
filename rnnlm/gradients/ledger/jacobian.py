"""The Jacobian dh(t)/dh(t-k): its spectral norm says how much h(t-k) can still move h(t).

    dS(t)/dS(t-k) = A(t-k+1) ... A(t-1) A(t)           A(s) = dS(s)/dS(s-1)

S is the state of the cell: h of an Elman network, where A(s) = H diag(f'(z1(s))); [h c] of an LSTM, whose
dh(t)/dh(t-k) and dc(t)/dc(t-k) are blocks of the product, with every path between them in it.

Below 1 and falling with k: the gradient vanishes; growing: it explodes (Pascanu, Mikolov & Bengio 2013, eq. 5-7).

A gated cell has a path on which the state is only multiplied: c(t) = f(t) o c(t-1) + ... Along it alone, k steps are
diag(f(t-k+1) o ... o f(t)), whose norm is the largest of these products over the units (Hochreiter & Schmidhuber
1997, the constant error carousel; with forget gates Gers, Schmidhuber & Cummins 2000).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, svds

from rnnlm.gradients.ledger.walk import Layer

Array = NDArray[np.float64]

# From this size on a few Lanczos steps find the largest singular value sooner than all singular values are found.
_SMALL = 48


def norms(layer: Layer, losses: int) -> dict[str, Array]:
    """The norm of dh(t)/dh(t-k), and of the same of the state's other parts, by the part's name.

    For the last `losses` steps t and every lag k: losses x T, NaN before the window.
    """
    steps, size = len(layer.steps), layer.cell.state_size
    states = layer.reference.states(layer.cell)
    result = {name: np.full((losses, steps), np.nan) for name in states}
    one_step = [_one_step(layer, s) for s in range(steps)]
    first = steps - losses
    for t in range(first, steps):
        product = np.eye(size)
        for lag in range(t + 1):
            if lag > 0:
                product = one_step[t - lag + 1] @ product
            for name, part in states.items():
                result[name][t - first, lag] = spectral_norm(product[part, part])
    return result


def carried(layer: Layer, losses: int) -> tuple[Array, Array] | None:
    """The product of the carried factor over the k steps after t-k: the largest over the units, and their mean.

    losses x T each, NaN before the window; None for a cell without such a path.
    """
    if layer.reference.carried is None:
        return None
    steps = len(layer.steps)
    largest, mean = (np.full((losses, steps), np.nan) for _ in range(2))
    factors = [_carried_by(layer, s) for s in range(steps)]
    for t in range(steps - losses, steps):
        product = np.ones_like(factors[0])
        for lag in range(t + 1):
            if lag > 0:
                product = product * factors[t - lag + 1]
            i = t - (steps - losses)
            largest[i, lag], mean[i, lag] = product.max(), product.mean()
    return largest, mean


def _one_step(layer: Layer, s: int) -> Array:
    """A(s), S x S: row i says what the i-th number of the state before does to the state after."""
    size = layer.cell.state_size
    if layer.reset[s]:
        return np.zeros((size, size))
    back = layer.reference.back(layer.cell, layer.p, layer.steps[s], np.eye(size))
    return np.ascontiguousarray(back.d_before.T)


def _carried_by(layer: Layer, s: int) -> Array:
    back = layer.reference.back(layer.cell, layer.p, layer.steps[s], np.zeros((1, layer.cell.state_size)))
    assert back.carried is not None
    return np.zeros_like(back.carried) if layer.reset[s] else back.carried


def spectral_norm(A: Array) -> float:
    """The largest singular value."""
    size = float(np.linalg.norm(A))
    if size == 0 or not np.isfinite(size):
        return size
    if len(A) > _SMALL:
        # Scaled, since a product of many Jacobians may be too small for the square that Lanczos takes.
        try:
            start = np.ones(len(A))
            found = svds(A / size, k=1, v0=start, tol=1e-6, return_singular_vectors=False)
            return float(found[0]) * size
        except ArpackNoConvergence:
            pass
    return float(np.linalg.norm(A / size, 2)) * size
