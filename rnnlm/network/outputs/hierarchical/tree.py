"""The Huffman tree of a vocabulary (Huffman 1952): frequent tokens have short paths from the root.

Inner nodes are numbered in the order in which they were made of the two rarest nodes, so the root is the last,
|V| - 2, and a node's number is greater than those of the nodes below it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnlm.kernels.jit import jit
from rnnlm.network.protocols import Array, Arrays


def tables(counts: NDArray[np.int64]) -> Arrays:
    """The tree of tokens that stood in a text so often (|V|, at least two).

    Returns:
        children: |V| - 1 x 2, below each inner node: a token's id, or |V| + the number of an inner node;
        starts: |V| + 1; nodes, sides: the path of token x has the inner nodes nodes[starts[x]] ... nodes[starts[x +
        1]], from the root down, and goes on to child 0 or 1 of each.
    """
    V = len(counts)
    rising = np.argsort(counts, kind="stable")
    children, parents = np.empty((V - 1, 2), np.int32), np.empty(2 * V - 1, np.int32)
    _merge(rising, counts[rising].astype(np.int64), children, parents)
    lengths = np.empty(V, np.int64)
    _lengths(parents, lengths)
    starts = np.append(0, lengths.cumsum())
    nodes, sides = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int8)
    _paths(children, parents, starts, nodes, sides)
    return {"children": children, "starts": starts, "nodes": nodes, "sides": sides}


def mean_length(V: int) -> float:
    """Nodes on a token's path, in the mean over tokens by Zipf's law: the i-th most frequent of |V| tokens has a
    probability in proportion to 1/i."""
    probability: Array = 1 / np.arange(1.0, V + 1)
    probability /= probability.sum()
    lengths = np.diff(tables(np.rint(1e12 * probability).astype(np.int64))["starts"])
    return float(probability @ lengths)


@jit
def _merge(rising, counts, children, parents):
    """Makes the inner nodes, each of the two rarest nodes that are in none. rising, counts: |V|, the tokens by rising
    count. Inner nodes are made by rising count too, so the rarest node is the next token or the next inner node."""
    V = rising.size
    of_inner = np.zeros(V, np.int64)
    token, inner = 0, 0
    for n in range(V - 1):
        for side in range(2):
            if token < V and (inner == n or counts[token] <= of_inner[inner]):
                node, count = rising[token], counts[token]
                token += 1
            else:
                node, count = V + inner, of_inner[inner]
                inner += 1
            children[n, side] = node
            parents[node] = n
            of_inner[n] += count
    parents[2 * V - 2] = -1


@jit
def _lengths(parents, lengths):
    """Nodes on the path of each token (|V|)."""
    V = lengths.size
    for x in range(V):
        n, length = parents[x], 0
        while n >= 0:
            length += 1
            n = parents[V + n]
        lengths[x] = length


@jit
def _paths(children, parents, starts, nodes, sides):
    """The path of each token, from the root down."""
    V = starts.size - 1
    for x in range(V):
        below, place = x, starts[x + 1]
        while parents[below] >= 0:
            n = parents[below]
            place -= 1
            nodes[place] = n
            sides[place] = 0 if children[n, 0] == below else 1
            below = V + n
