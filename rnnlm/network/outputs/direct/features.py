"""Weights of direct connections: added to scores, and their gradient by the blocks of a window.

The table D is `blocks` x 16. Of row r and its k-th context, which begins with block b (``direct.contexts``), the
feature of token j is number 16 b + j of the flat table, modulo its size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context
from rnnlm.network.outputs.direct.contexts import WIDTH


class Touched(NamedTuple):
    """The blocks of D that a window touches, each once, in the order in which they are met."""

    blocks: NDArray[np.int32]  # m
    place: NDArray[np.int32]  # of all blocks: where in `blocks` one stands; only there is it to be read


# -- of every token


@parallel
def add(thread, D, begins, z):
    """z (R x |V|) += the features of every token. Each thread has its own rows. begins: R x n."""
    first, last = partition(thread, z.shape[0], 1)
    flat, V = D.reshape(-1), z.shape[1]
    for r in range(first, last):
        for k in range(begins.shape[1]):
            if begins[r, k] >= 0:
                start = begins[r, k] * WIDTH
                until = min(V, flat.size - start)  # before the table's end
                _add(flat[start : start + until], z[r, :until])
                _add(flat[: V - until], z[r, until:])


@jit
def _add(weights, z):
    for j in range(z.size):
        z[j] += weights[j]


def touched(begins: NDArray[np.int64], blocks: int, V: int, context: Context) -> Touched:
    """The blocks of D that rows with these contexts (R x n) touch."""
    different, wide = _different(begins), -(-V // WIDTH)
    found = np.empty(min(blocks, len(different) * wide), np.int32)
    place = context.workspace.take("place", (blocks,), np.int32)
    count = _touched(different, wide, found, place)
    return Touched(found[:count], place)


@jit
def _touched(different, wide, found, place):
    count = 0
    for begin in different:
        for block in range(begin, begin + wide):
            count = _mark(block, found, count, place)
    return count


@parallel
def gradient(thread, begins, delta, place, dD):
    """dD (m x 16, of the blocks that are touched) += what rows of delta (R x |V|, dJ/dz) give; begins, place: as of
    `Touched`. Each thread has its own blocks of the table, so that sums have one order."""
    low, high = partition(thread, place.size, 1)
    V = delta.shape[1]
    wide = (V + WIDTH - 1) // WIDTH
    for r in range(delta.shape[0]):
        for k in range(begins.shape[1]):
            begin = begins[r, k]
            if begin < 0:
                continue
            for back in (0, place.size):  # as it stands, and what is behind the table's end
                first, last = max(low, begin - back), min(high, begin - back + wide)
                for block in range(first, last):
                    column = (block - begin + back) * WIDTH
                    own = dD[place[block]]
                    for j in range(min(WIDTH, V - column)):
                        own[j] += delta[r, column + j]


# -- of some tokens


@parallel
def add_some(thread, D, begins, tokens, targets, z, target_z):
    """z (R x n) += the features of some tokens (n), target_z (R) += those of each row's target. Each thread has its
    own rows."""
    first, last = partition(thread, z.shape[0], 1)
    flat = D.reshape(-1)
    for r in range(first, last):
        for k in range(begins.shape[1]):
            start = begins[r, k] * WIDTH
            if start >= 0:
                for i in range(tokens.size):
                    z[r, i] += flat[_within(start + tokens[i], flat.size)]
                target_z[r] += flat[_within(start + targets[r], flat.size)]


def touched_by_some(
    begins: NDArray[np.int64], tokens: NDArray[np.int32], targets: NDArray[np.int32], blocks: int, context: Context
) -> Touched:
    """The blocks of D that rows with these contexts (R x n) touch through some tokens and each through its target."""
    different = _different(begins)
    found = np.empty(min(blocks, len(different) * len(tokens) + begins.size), np.int32)
    place = context.workspace.take("place", (blocks,), np.int32)
    count = _touched_by_some(begins, different, tokens, targets, found, place)
    return Touched(found[:count], place)


@jit
def _touched_by_some(begins, different, tokens, targets, found, place):
    count = 0
    for begin in different:
        for token in tokens:
            count = _mark(begin + token // WIDTH, found, count, place)
    for r in range(targets.size):
        for begin in begins[r]:
            if begin >= 0:
                count = _mark(begin + targets[r] // WIDTH, found, count, place)
    return count


@parallel
def gradient_of_some(thread, begins, tokens, targets, delta, target_delta, place, dD):
    """As `gradient`, of delta (R x n) by some tokens (n) and target_delta (R) by each row's target."""
    low, high = partition(thread, place.size, 1)
    for r in range(delta.shape[0]):
        for k in range(begins.shape[1]):
            begin = begins[r, k]
            if begin >= 0:
                for i in range(tokens.size):
                    block = _within(begin + tokens[i] // WIDTH, place.size)
                    if low <= block < high:
                        dD[place[block], tokens[i] % WIDTH] += delta[r, i]
                block = _within(begin + targets[r] // WIDTH, place.size)
                if low <= block < high:
                    dD[place[block], targets[r] % WIDTH] += target_delta[r]


def _different(begins: NDArray[np.int64]) -> NDArray[np.int64]:
    found = np.unique(begins)
    return found[found >= 0]


@jit
def _mark(block, found, count, place):
    """Adds a block to those found unless it is there; returns how many there are. place[b] = where b stands in
    `found`: whatever else is in `place`, it does not point back to its block."""
    block = _within(block, place.size)
    if 0 <= place[block] < count and found[place[block]] == block:
        return count
    place[block] = count
    found[count] = block
    return count + 1


@jit
def _within(number, size):
    """What is behind the table's end, at its beginning."""
    return number if number < size else number - size
