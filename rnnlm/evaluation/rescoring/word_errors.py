"""Word errors of hypotheses against their references, counted by jiwer (extra ``wer``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import InputError
from rnnlm.evaluation.rescoring.records import WordErrors


def count(references: Sequence[str], texts: Sequence[str]) -> NDArray[np.int64]:
    """Substitutions, deletions, insertions and words of the reference, N x 4, by the Levenshtein alignment.

    Args:
        references, texts: N of each; words stand between white space.

    Raises:
        InputError: jiwer is not installed.
    """
    try:
        import jiwer
    except ImportError:
        raise InputError(
            "the package jiwer counts word errors and is not installed; install it: pip install '.[wer]' in a clone "
            "of rnnlm"
        ) from None
    pairs = [(" ".join(one.split()), " ".join(other.split())) for one, other in zip(references, texts, strict=True)]
    different = list(dict.fromkeys(pairs))
    found = jiwer.process_words([pair[0] for pair in different], [pair[1] for pair in different])
    counts = {
        pair: (*_edits(alignment), len(pair[0].split()))
        for pair, alignment in zip(different, found.alignments, strict=True)
    }
    return np.array([counts[pair] for pair in pairs], np.int64)


def _edits(alignment: Sequence[Any]) -> tuple[int, int, int]:
    """Substitutions, deletions and insertions of one text."""
    words = {"substitute": 0, "delete": 0, "insert": 0, "equal": 0}
    for chunk in alignment:
        length = max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
        words[chunk.type] += length
    return words["substitute"], words["delete"], words["insert"]


def summed(counts: NDArray[np.int64]) -> WordErrors:
    """The sum of some rows of `count`."""
    return WordErrors(*counts.sum(axis=0).tolist())
