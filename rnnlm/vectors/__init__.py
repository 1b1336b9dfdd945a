"""Initial embedding tables: random, by SVD, by skip-gram, from pretrained vectors.

A table is a float32 C-contiguous array, |V| x d, one row a token id. Every module that `INITS` names has the
same function:

    make(corpus, vocabulary, settings, seed, threads)    a generator that yields records and returns the table

with the training text, its vocabulary (`rnnlm.vectors.protocols`) and the section `embedding` of the
configuration. The same arguments give the same bytes, on any number of threads. The modules are imported
when they are used: this one is cheap.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np

from rnnlm.config.embedding import Embedding
from rnnlm.vectors.protocols import Corpus, Vocabulary
from rnnlm.work import Task

# `embedding.init.type` -> the module that makes the table.
INITS = {
    "uniform": "rnnlm.vectors.random",
    "normal": "rnnlm.vectors.random",
    "svd": "rnnlm.vectors.svd",
    "skipgram": "rnnlm.vectors.skipgram",
    "file": "rnnlm.vectors.pretrained",
}

# These draw with the wanted standard deviation; the others are brought to it when they are done.
_SCALED_BY_THEMSELVES = ("uniform", "normal")


def make(
    corpus: Corpus, vocabulary: Vocabulary, settings: Embedding, seed: int, threads: int | str
) -> Task[np.ndarray]:
    """The initial embedding table, float32, |V| x d, that `settings` asks for. Yields Note and Progress.

    Raises:
        InputError: the vector file is not there, has another size, or has none of the vocabulary's words.
        TextError: the vector file is damaged.
    """
    module = import_module(INITS[settings.init.type])
    table: np.ndarray = yield from module.make(corpus, vocabulary, settings, seed, threads)
    if settings.init.scale is not None and settings.init.type not in _SCALED_BY_THEMSELVES:
        rescale(table, settings.init.scale)
    return table


def rescale(table: np.ndarray, scale: float) -> None:
    """Multiply `table`, in place, so that the standard deviation of all its numbers is `scale`.

    Not centred: the mean of the rows is part of what the method found. A table of one repeated number stays
    as it is.
    """
    deviation = float(table.std(dtype=np.float64))
    if deviation > 0:
        table *= np.float32(scale / deviation)
