"""Initializers of a cell's matrices, in place of the cell's own (``model.recurrent_init``).

I and H have a block of columns for each gate and candidate; with n rows and m columns of a block:

    uniform       every weight uniform in +-scale (Zaremba et al. 2014: 0.05 and 0.04)
    xavier        every weight uniform in +-sqrt(6 / (n + m)) (Glorot & Bengio 2010)
    orthogonal    H's blocks orthogonal (Saxe et al. 2014), I as xavier
    identity      H's blocks 1 on the diagonal (Le et al. 2015), I as xavier
"""

from __future__ import annotations

import numpy as np

from rnnlm.network.protocols import Array, Arrays, Initializer


def draw(
    initializer: Initializer, shapes: dict[str, tuple[int, ...]], hidden: int, generator: np.random.Generator
) -> Arrays:
    """Matrices of these shapes, by name, drawn in this order: ``H`` multiplies the state, the others do not. hidden:
    D_h, the columns of a block."""
    found = {}
    for name, (rows, columns) in shapes.items():
        blocks = max(1, columns // hidden)
        drawn = [_block(initializer, name == "H", rows, columns // blocks, generator) for _ in range(blocks)]
        found[name] = np.hstack(drawn)
    return found


def _block(initializer: Initializer, recurrent: bool, n: int, m: int, generator: np.random.Generator) -> Array:
    if initializer.type == "uniform":
        return generator.uniform(-initializer.scale, initializer.scale, (n, m))
    if recurrent and initializer.type == "orthogonal":
        return orthogonal(n, m, generator)
    if recurrent and initializer.type == "identity":
        return np.eye(n, m)
    bound = np.sqrt(6 / (n + m))
    return generator.uniform(-bound, bound, (n, m))


def orthogonal(n: int, m: int, generator: np.random.Generator) -> Array:
    """n x m, drawn evenly from all matrices with orthonormal columns (of a wide one: rows)."""
    found, upper = np.linalg.qr(generator.standard_normal((max(n, m), min(n, m))))
    found = found * np.sign(np.diagonal(upper))
    return found if n >= m else found.T
