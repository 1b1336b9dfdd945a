"""Nearest neighbours of tokens: those whose trained vectors have the greatest cosine.

cos(x, y) = e_x e_y' / (|e_x| |e_y|)        e_x: row x of the embedding table
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import InputError
from rnnlm.evaluation.records import Neighbour, Neighbours
from rnnlm.text.vocabulary import Vocabulary


def nearest(
    table: NDArray[np.floating], vocabulary: Vocabulary, words: Sequence[str], count: int = 10
) -> list[Neighbours]:
    """The `count` nearest neighbours of each of some tokens, the nearest first, without the token itself.

    Args:
        table: |V| x d. words: tokens, or their spellings in ``vocab.txt``.

    Raises:
        InputError: one of them is not in the vocabulary, or its vector is 0.
    """
    ids = [_id(word, vocabulary) for word in words]
    vectors = table.astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1)
    for word, i in zip(words, ids, strict=True):
        if norms[i] == 0:
            raise InputError(f"--nearest {word}: its vector is 0, which has no direction; give another word")
    units = vectors / np.where(norms > 0, norms, 1)[:, None]
    found = []
    for i in ids:
        cosines = units @ units[i]
        order = [j for j in np.argsort(-cosines, kind="stable")[: count + 1].tolist() if j != i][:count]
        neighbours = [Neighbour(vocabulary.spell(j), float(cosines[j])) for j in order]
        found.append(Neighbours(vocabulary.spell(i), neighbours))
    return found


def _id(word: str, vocabulary: Vocabulary) -> int:
    """The id of a token, or of its spelling; of a text in lower case, also with capitals."""
    for form in (word, word.lower()) if vocabulary.lowercase else (word,):
        found = vocabulary.id(form)
        if found is not None:
            return found
    for i in range(len(vocabulary)):
        if vocabulary.spell(i) == word:
            return i
    raise InputError(
        f"--nearest {word}: not among the vocabulary's {len(vocabulary):,} tokens; give one of them, as vocab.txt "
        "spells it"
    )
