"""Cutoffs of an adaptive softmax: checked, or chosen for a vocabulary."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from rnnlm.errors import InputError

# Shares of a text's tokens in the head, and in the head with the first cluster.
_SHARES = (0.8, 0.9)
# Below it one cluster is enough: a smaller head would cost perplexity and save little (docs/results.md).
_SMALL = 20_000


def check(cutoffs: Sequence[int], V: int) -> None:
    """Whether tokens are left behind the last cutoff.

    Raises:
        InputError: none.
    """
    if cutoffs[-1] >= V:
        raise InputError(
            f"model.output.cutoffs: found {cutoffs[-1]:,}; the vocabulary has {V:,} tokens, and each cutoff must be "
            "less"
        )


def choose(V: int) -> tuple[int, ...]:
    """|V|^0.8 and |V|^0.9, of a small vocabulary |V|^0.9 alone: by Zipf's law, by which the i-th most frequent of |V|
    tokens has a probability in proportion to 1/i, the head has about 80% of a text's tokens then (90%), and the first
    cluster 10%. For 10,000 tokens 3,981, for 100,000 10,000 and 31,623."""
    shares = _SHARES if V >= _SMALL else _SHARES[1:]
    return tuple(sorted({max(1, min(V - 1, round(V**share))) for share in shares}))


def multiplications(cutoffs: Sequence[int], V: int, D_h: int, factor: float) -> float:
    """A token's multiplications in the clusters, in the mean over tokens by Zipf's law."""
    total = 0.0
    for k, (first, stop) in enumerate(itertools.pairwise((*cutoffs, V)), 1):
        share = math.log((stop + 1) / (first + 1)) / math.log(V + 1)
        total += share * width(k, D_h, factor) * (D_h + stop - first)
    return total


def width(k: int, D_h: int, factor: float) -> int:
    """The width of cluster k (from 1): D_h / factor^k, at least 1."""
    return max(1, int(D_h / factor**k))
