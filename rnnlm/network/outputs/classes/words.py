"""The softmax over the tokens of each row's own class.

Rows are sorted by the class of their target. A group is the rows of one class; each thread has its own groups. A
block of a group's rows goes through

    z = h W' + b2 -> delta2 = q - y in place -> dh += delta2 W, dW += delta2' h, db2 += delta2

with the class's rows of W, while they lie in the thread's cache. Products are of plain numbers whatever training
rounds: the classes are small.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.kernels import cpu
from rnnlm.kernels.elementwise.rows import add, copy
from rnnlm.kernels.elementwise.softmax import exp_sum, largest
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_columns, multiply_rows
from rnnlm.kernels.matmul.layout import Numbers, block_of, columns_shape, panels_shape
from rnnlm.kernels.matmul.pack import fill_columns, pack_panels
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context
from rnnlm.network.outputs.softmax.rows import delta2
from rnnlm.network.protocols import Array, Arrays, RowGradients, Rows

# Rows of a group that go through the products together.
BLOCK = 128


class _Groups(NamedTuple):
    """Rows by the class of their target, K groups."""

    rows: NDArray[np.int64]  # N, group by group
    places: NDArray[np.int32]  # N, the place of their targets in the class
    row_bounds: NDArray[np.int64]  # K + 1: the rows of each group
    words: NDArray[np.int32]  # n, the tokens of the groups' classes, group by group
    word_bounds: NDArray[np.int64]  # K + 1: the words of each group
    shares: NDArray[np.int64]  # threads + 1: the groups of each thread

    @property
    def most(self) -> tuple[int, int]:
        """Rows of a block and words of a class at most."""
        rows, words = (int(np.diff(bounds).max()) for bounds in (self.row_bounds, self.word_bounds))
        return min(BLOCK, rows), words


class _Weights(NamedTuple):
    W: Array  # |V| x D_h
    b2: Array  # |V|


class _Room(NamedTuple):
    """What each thread (first index) writes to: R rows of a block, n words of a class."""

    h: Array  # R x D_h
    W: Array  # n x D_h
    b2: Array  # n
    db2: Array  # n
    z: Array  # R n: logits, then delta2
    packed_W: Numbers  # panels of W'
    packed_back: Numbers  # panels of W
    packed_h: Numbers  # panels of h
    columns: Numbers  # z by columns
    dh: Array  # R x D_h


class _Found(NamedTuple):
    """What is written. W and b2 by the groups' words."""

    dW: Array  # n x D_h
    db2: Array  # |V|
    dh: Array  # N x D_h, added to
    losses: NDArray[np.float64]  # the sum of J, a thread


def score(parameters: Arrays, rows: Rows, log_probability: NDArray[np.float64], context: Context) -> None:
    """Adds log q_x of each row's target to `log_probability` (N)."""
    groups = _groups(parameters, rows, context.threads)
    room = _room(groups, rows.h, False, context)
    _score(len(groups.shares) - 1, groups, room, rows.h, _weights(parameters), log_probability)


def backward(
    parameters: Arrays, gradients: Arrays, rows: Rows, scale: float, dh: Array, context: Context
) -> tuple[float, RowGradients]:
    """Loss and gradients of ``scale * sum of - log q_x``: db2 is written, dh (N x D_h) added to.

    Returns:
        The sum of - log q_x, not scaled; the gradient of W.
    """
    groups = _groups(parameters, rows, context.threads)
    threads = len(groups.shares) - 1
    room, take = _room(groups, rows.h, True, context), context.workspace.take
    dW = take("dW", (len(groups.words), rows.h.shape[1]))
    found = _Found(dW, gradients["b2"], dh, np.zeros(threads))
    found.db2.fill(0)
    _backward(threads, groups, room, rows.h, _weights(parameters), found, rows.h.dtype.type(scale))
    return float(found.losses.sum()), (groups.words, dW)


def _weights(parameters: Arrays) -> _Weights:
    return _Weights(parameters["W"], parameters["b2"])


def _groups(tables: Arrays, rows: Rows, threads: int) -> _Groups:
    """The rows by class, shared out to as many threads as are worth it."""
    members, bounds = tables["members"], tables["bounds"]
    own = tables["class"][rows.targets]
    order = np.argsort(own, kind="stable")
    classes, first = np.unique(own[order], return_index=True)
    row_bounds = np.append(first, len(order)).astype(np.int64)
    words = np.concatenate([members[bounds[k] : bounds[k + 1]] for k in classes])
    word_bounds = np.append(0, (bounds[classes + 1] - bounds[classes]).cumsum()).astype(np.int64)
    # A class is packed once, and then each of its rows multiplied.
    work = ((np.diff(row_bounds) + 2) * np.diff(word_bounds)).cumsum()
    threads = cpu.useful_threads(threads, int(work[-1]) * rows.h.shape[1], cpu.MULTIPLICATIONS)
    shares = np.searchsorted(work, work[-1] * np.arange(threads + 1) / threads)
    shares[-1] = len(classes)
    return _Groups(order, tables["place"][rows.targets[order]], row_bounds, words, word_bounds, shares)


def _room(groups: _Groups, h: Array, training: bool, context: Context) -> _Room:
    take, threads, D_h = context.workspace.take, len(groups.shares) - 1, h.shape[1]
    rows, words = groups.most

    def panels(name: str, k: int, n: int) -> Numbers:
        return Numbers(take(name, (threads, *panels_shape(Numbers, k, n))))

    back_rows, back_words = groups.most if training else (0, 0)
    return _Room(
        h=take("group_h", (threads, rows, D_h)),
        W=take("group_W", (threads, words, D_h)),
        b2=take("group_b2", (threads, words)),
        db2=take("group_db2", (threads, words)),
        z=take("group_z", (threads, rows * words)),
        packed_W=panels("packed_W", D_h, words),
        packed_back=panels("packed_back", back_words, D_h),
        packed_h=panels("packed_h", back_rows, D_h),
        columns=Numbers(take("columns", (threads, *columns_shape(Numbers, back_rows, back_words)))),
        dh=take("group_dh", (threads, back_rows, D_h)),
    )


@jit
def _begin(thread, groups, room, weights, g):
    """Gathers and packs the words of group g; how many they are."""
    first, last = groups.word_bounds[g], groups.word_bounds[g + 1]
    W, b2 = room.W[thread.number], room.b2[thread.number]
    for i in range(first, last):
        copy(weights.W[groups.words[i]], W[i - first])
        b2[i - first] = weights.b2[groups.words[i]]
    words = last - first
    pack_panels(W[:words], True, 0, words, W.shape[1], block_of(room.packed_W, thread.number))
    return words


@jit
def _logits(thread, groups, room, h, first, last, words):
    """z = h W' + b2 of rows first ... last of one group: an array of its own, (last - first) x words."""
    own, z = room.h[thread.number], room.z[thread.number, : (last - first) * words].reshape((last - first, words))
    for i in range(first, last):
        copy(h[groups.rows[i]], own[i - first])
        copy(room.b2[thread.number, :words], z[i - first])
    packed_W = block_of(room.packed_W, thread.number)
    multiply_rows(Numbers(own[: last - first]), h.shape[1], packed_W, 0, words, z, True)
    return z


@parallel
def _score(thread, groups, room, h, weights, log_probability):
    """Each thread has its own groups."""
    for g in range(groups.shares[thread.number], groups.shares[thread.number + 1]):
        words, stop = _begin(thread, groups, room, weights, g), groups.row_bounds[g + 1]
        for first in range(groups.row_bounds[g], stop, BLOCK):
            last = min(stop, first + BLOCK)
            z = _logits(thread, groups, room, h, first, last, words)
            for i in range(first, last):
                shift = largest(z[i - first])
                own = np.float64(z[i - first, groups.places[i]] - shift)
                log_probability[groups.rows[i]] += own - math.log(np.float64(exp_sum(z[i - first], shift)))


@parallel
def _backward(thread, groups, room, h, weights, found, scale):
    """Each thread has its own groups, and with them its rows of dh and words of dW and db2."""
    hidden = h.shape[1]
    for g in range(groups.shares[thread.number], groups.shares[thread.number + 1]):
        words = _begin(thread, groups, room, weights, g)
        packed_back = block_of(room.packed_back, thread.number)
        pack_panels(room.W[thread.number, :words], False, 0, hidden, words, packed_back)
        begin, stop, at = groups.row_bounds[g], groups.row_bounds[g + 1], groups.word_bounds[g]
        db2 = room.db2[thread.number, :words]
        db2[:] = 0
        for first in range(begin, stop, BLOCK):
            last = min(stop, first + BLOCK)
            z = _logits(thread, groups, room, h, first, last, words)
            for i in range(first, last):
                found.losses[thread.number] -= delta2(z[i - first], groups.places[i], scale, db2)
            # Undoes z = h W': dh += delta2 W ...
            dh = room.dh[thread.number, : last - first]
            multiply_rows(Numbers(z), words, packed_back, 0, hidden, dh, False)
            for i in range(first, last):
                add(dh[i - first], found.dh[groups.rows[i]])
            # ... and dW += delta2' h.
            columns, packed_h = block_of(room.columns, thread.number), block_of(room.packed_h, thread.number)
            fill_columns(z, columns)
            pack_panels(room.h[thread.number, : last - first], False, 0, hidden, last - first, packed_h)
            dW = found.dW[at : at + words]
            multiply_columns(columns, last - first, packed_h, 0, hidden, dW, first > begin)
        for i in range(words):
            found.db2[groups.words[at + i]] = db2[i]
