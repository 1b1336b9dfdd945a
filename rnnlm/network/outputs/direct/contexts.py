"""Contexts of direct connections: where in the table of weights the features of each of them begin.

A context is the last k tokens, k = 1 ... order - 1. Its hash says with which block of 16 weights its features begin;
the one of token j is j weights further on, and behind the table's end comes its beginning (Mikolov, Deoras, Povey,
Burget & Cernocky 2011, "Strategies for Training Large Scale Neural Network Language Models", section 6). Contexts
whose hashes collide share weights: nothing tells them apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Weights of a block.
WIDTH = 16
# Where a context has fewer tokens than it needs: no feature.
NONE = -1


def begins(history: NDArray[np.int32], blocks: int) -> NDArray[np.int64]:
    """The first block of each context's features, N x n, of k = 1 ... n tokens; `NONE` where a text begins later.

    Args:
        history: N x n, the tokens before, the oldest first; -1: none.
        blocks: of the table.
    """
    hashed = np.zeros(len(history), np.uint64)
    found = np.empty(history.shape, np.int64)
    for k in range(1, history.shape[1] + 1):
        token = history[:, -k]
        hashed = _mixed(hashed + (token.astype(np.int64) + 1).astype(np.uint64))
        block = _mixed(hashed + np.uint64(k)) % np.uint64(blocks)
        found[:, k - 1] = np.where((history[:, -k:] < 0).any(axis=1), NONE, block.astype(np.int64))
    return found


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A permutation of 64 bits after which each depends on all (Steele, Lea & Flood 2014: SplitMix64)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
