"""Other starts for a layer's weights than what suits its cell (``model.recurrent_init``). I and H have a block of
columns for each gate and candidate; with n rows and m columns of a block:

    uniform       every weight uniform in +-scale (Zaremba et al. 2014: 0.05 and 0.04)
    xavier        every weight uniform in +-sqrt(6 / (n + m)) (Glorot & Bengio 2010)
    orthogonal    H's blocks orthogonal (Saxe et al. 2014), I as xavier
    identity      H's blocks 1 on the diagonal (Le et al. 2015), I as xavier
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rnnlm.config.network import RecurrentInit


def draw(
    name: str, shape: tuple[int, int], hidden: int, settings: RecurrentInit, generator: np.random.Generator
) -> np.ndarray:
    """I or H, by `name`; hidden: D_h."""
    blocks = max(1, shape[1] // hidden)
    return np.hstack([_block(name, shape[0], shape[1] // blocks, settings, generator) for _ in range(blocks)])


def _block(name: str, n: int, m: int, settings: RecurrentInit, generator: np.random.Generator) -> np.ndarray:
    if settings.type == "uniform":
        return generator.uniform(-settings.scale, settings.scale, (n, m))
    if name == "H" and settings.type == "orthogonal":
        return orthogonal(n, m, generator)
    if name == "H" and settings.type == "identity":
        return np.eye(n, m)
    bound = np.sqrt(6 / (n + m))
    return generator.uniform(-bound, bound, (n, m))


def orthogonal(n: int, m: int, generator: np.random.Generator) -> np.ndarray:
    """n x m, drawn evenly from all matrices with orthonormal columns (of a wide one: rows)."""
    found, upper = np.linalg.qr(generator.standard_normal((max(n, m), min(n, m))))
    found = found * np.sign(np.diagonal(upper))
    return found if n >= m else found.T
