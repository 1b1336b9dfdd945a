"""The Jacobian dh(t)/dh(t-k): its spectral norm says how much h(t-k) can still move h(t).

    dh(t)/dh(t-k) = J(t-k+1) ... J(t-1) J(t)           J(s) = dh(s)/dh(s-1) = H diag(f'(z1(s)))

Below 1 and falling with k: the gradient vanishes; growing: it explodes (Pascanu, Mikolov & Bengio 2013, eq. 5-7).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, svds

from rnnlm.network.reference import equations

Array = NDArray[np.float64]

# From this size on a few Lanczos steps find the largest singular value sooner than all singular values are found.
_SMALL = 48


def product_norms(H: Array, h: Array, reset: NDArray[np.bool_], losses: int, activation: str) -> Array:
    """The norm of dh(t)/dh(t-k) for the last `losses` steps t and every lag k: losses x T, NaN before the window.

    Args:
        H: D_h x D_h; h: T x D_h; reset: T, where step t did not see h(t-1).
    """
    steps, hidden = h.shape
    result = np.full((losses, steps), np.nan)
    result[:, 0] = 1
    one_step = [0 * H if reset[t] else equations.dh_dh_before(H, h[t], activation) for t in range(steps)]
    first = steps - losses
    products = {t: np.eye(hidden) for t in range(first, steps)}
    for lag in range(1, steps):
        for t in range(max(first, lag), steps):
            products[t] = one_step[t - lag + 1] @ products[t]
            result[t - first, lag] = spectral_norm(products[t])
    return result


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
