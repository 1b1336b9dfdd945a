"""Random table: independent numbers of mean 0 and standard deviation `embedding.init.scale`.

s is the standard deviation:

uniform    from -s sqrt(3) to s sqrt(3)
normal     N(0, s^2)
"""

from __future__ import annotations

import math

import numpy as np

from rnnlm.config.embedding import Embedding
from rnnlm.vectors.protocols import Corpus, Vocabulary
from rnnlm.work import Task

DEFAULT_SCALE = 0.1
"""The standard deviation where `embedding.init.scale` is null."""


def make(
    corpus: Corpus, vocabulary: Vocabulary, settings: Embedding, seed: int, threads: int | str
) -> Task[np.ndarray]:
    """The random table, float32, |V| x d; the text does not matter."""
    yield from ()
    rng = np.random.default_rng(seed)
    shape = (len(vocabulary), settings.size)
    scale = DEFAULT_SCALE if settings.init.scale is None else settings.init.scale
    if settings.init.type == "uniform":
        edge = np.float32(scale * math.sqrt(3))
        table = rng.random(shape, dtype=np.float32)  # drawn in float32: no second table in float64
        table *= 2 * edge
        table -= edge
        return table
    table = rng.standard_normal(shape, dtype=np.float32)
    table *= np.float32(scale)
    return table
