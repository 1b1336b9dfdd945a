"""Operations that all recurrent cells have in common: everything but the equations of a step.

G is the number of a cell's blocks of D_h columns: 1 in the Elman network, 3 or 4 where there are gates. All of them
read the inputs by one product and the state by another:

    projected = e I + b1           n x G D_h, once for each of the window's n different inputs
    z(t) = projected + h(t-1) H    B x G D_h, step after step                        I: d x G D_h   H: D_h x G D_h

and with delta(t) = dJ/dz(t) send back

    dJ/dh(t-1) += delta(t) H'      but where the state was reset, step after step
    dJ/dH = sum_t h(t-1)' delta(t)     dJ/db1 = sum_t delta(t)
    dJ/dI = sum_t e(t)' delta(t)       dJ/de(t) = delta(t) I'       summed by input before it is multiplied

In the loops over time a thread has its own streams, all columns of them, or its own columns of h and of every block,
for all streams (`by_columns`); then all threads wait for each other once a step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.cpu import MULTIPLICATIONS, RECURRENT_BYTES, RECURRENT_COLUMNS, useful_threads
from rnnlm.kernels.elementwise.rows import add, clear, copy
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul import linear
from rnnlm.kernels.matmul.gemm import multiply_columns, multiply_rows
from rnnlm.kernels.matmul.layout import Packed as Operand
from rnnlm.kernels.matmul.layout import block_count, block_of, depth, depth_grain, depths_of, operand
from rnnlm.kernels.matmul.linear import pack
from rnnlm.kernels.matmul.pack import clear_row, fill_columns, fill_rows, pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context
from rnnlm.network.protocols import Array, Arrays, Inputs


class Steps(NamedTuple):
    """Inputs of a loop over time."""

    projected: np.ndarray  # n x G D_h: e I + b1 of the different inputs
    read: np.ndarray  # T x B int32, the row of `projected` that each place reads
    reset: np.ndarray  # T x B bool
    state: np.ndarray  # B x S, before the window
    initial: np.ndarray  # S, where `reset` is set


class Products(NamedTuple):
    """Packed operands of a loop over time, and its partition."""

    by_columns: bool  # threads have their own columns of h instead of their own streams
    packed: Operand  # panels of H, or of H'
    rows: Operand  # T x ..., pairs of the states, or of delta


class Part(NamedTuple):
    """One thread's part of a step: streams first ... last and columns start ... stop of h and of every block."""

    first: int
    last: int
    start: int
    stop: int


def by_columns(H: Array, batch: int, threads: int) -> bool:
    """Whether threads have their own columns of h, waiting for each other at every step, instead of their own
    streams: where there are fewer streams than threads, or where H does not stay in a core's second cache. (Blocks of
    an odd width are never cut: pairs of bfloat16 would lie across two of them.)"""
    hidden, width = H.shape
    fits = hidden >= RECURRENT_COLUMNS * threads and (width == hidden or hidden % 2 == 0)
    return threads > 1 and fits and (batch < threads or H.nbytes > RECURRENT_BYTES)


def threads_for(multiplications: int, threads: int) -> int:
    """The number of threads for a product of this size."""
    return useful_threads(threads, multiplications, MULTIPLICATIONS)


def forward_products(H: Array, steps: int, batch: int, context: Context) -> Products:
    """Room for the loop over time of `steps` steps: each block of H as the panels of a matrix of its own."""
    (hidden, width), workspace = H.shape, context.workspace
    return Products(
        by_columns(H, batch, context.threads),
        workspace.panels("packed_H", hidden, hidden, width // hidden),
        workspace.rows("previous_rows", steps, batch, hidden),
    )


def backward_products(H: Array, steps: int, batch: int, context: Context) -> Products:
    """Room for the loop back: H' as one matrix, G D_h x D_h."""
    (hidden, width), workspace = H.shape, context.workspace
    return Products(
        by_columns(H, batch, context.threads),
        workspace.panels("packed_back", width, hidden),
        workspace.rows("delta_rows", steps, batch, width),
    )


def steps_of(inputs: Inputs, I: Array, b1: Array, context: Context) -> Steps:
    """What the loop over time reads: projected = e I + b1, once for each different input."""
    e, workspace = inputs.e, context.workspace
    projected = workspace.take("projected", (len(e), I.shape[1]))
    linear.forward(e, I, b1, projected, context)
    return Steps(projected, inputs.read, inputs.reset, inputs.state, inputs.initial)


def new_projected_gradient(inputs: Inputs, width: int, context: Context) -> Array:
    """Room for d_projected, n x width: delta summed by input."""
    return context.workspace.take("d_projected", (len(inputs.e), width))


def weights_back(
    delta: Array, previous: Array, read: Array, gradients: _WeightGradients, offset: int, context: Context
) -> None:
    """From delta (T x B x some blocks) and what H multiplied (T x B x D_h): these blocks of dJ/dH, of dJ/db1 and of
    d_projected, columns from `offset` on."""
    (steps, batch, width), workspace = delta.shape, context.workspace
    rows, hidden = steps * batch, previous.shape[2]
    columns, panels = (
        workspace.columns("previous_columns", rows, hidden),
        workspace.panels("packed_delta", rows, width),
    )
    _weights_back(context.threads, delta, previous, read, columns, panels, gradients, offset)


def inputs_back(I: Array, dI: Array, inputs: Inputs, d_projected: Array, context: Context) -> Array:
    """Undoes `steps_of`: writes dJ/dI and returns dJ/de (n x d) of each different input."""
    e, workspace = inputs.e, context.workspace
    de = workspace.take("de", e.shape)
    linear.backward(e, I, d_projected, dI, de, context)
    return de


class Projection(NamedTuple):
    """I and b1 packed, for one token at a time."""

    packed_I: Operand
    b1: Array


def pack_projection(I: Array, b1: Array, context: Context) -> Projection:
    """What `project` reads, from weights that do not change any more."""
    packed = context.workspace.panels("packed_I", *I.shape)
    pack(I, packed)
    return Projection(packed, b1)


def project(packed: Projection, e: Array, projected: Array, threads: int) -> None:
    """projected = e I + b1, n x G D_h."""
    linear.forward_packed(threads_for(e.size * packed.b1.size, threads), packed.packed_I, packed.b1, e, projected)


def pack_state_weights(H: Array, context: Context) -> Operand:
    """The panels of each block of H, for one token at a time."""
    hidden, width = H.shape
    packed = context.workspace.panels("packed_H", hidden, hidden, width // hidden)
    _pack_all_blocks(H, packed)
    return packed


class _WeightGradients(NamedTuple):
    """Where `weights_back` writes."""

    dH: np.ndarray  # D_h x G D_h
    db1: np.ndarray  # G D_h
    d_projected: np.ndarray  # n x G D_h


def weight_gradients(gradients: Arrays, d_projected: Array) -> _WeightGradients:
    """Where `weights_back` writes, from a cell's gradients by name."""
    return _WeightGradients(gradients["H"], gradients["b1"], d_projected)


@parallel
def _weights_back(thread, delta, previous, read, previous_columns, packed_delta, gradients, offset):
    """Partitioned by columns of delta; see `weights_back`."""
    steps, batch, width = delta.shape
    rows, hidden = steps * batch, previous.shape[2]
    flat, flat_previous = delta.reshape((rows, width)), previous.reshape((rows, hidden))
    first, last = partition(thread, rows, depth_grain(previous_columns))
    fill_columns(flat_previous[first:last], depths_of(previous_columns, first, last))
    start, stop = partition(thread, width, 2 * LANES)
    pack_panels(flat, False, start, stop, rows, packed_delta)
    wait(thread)
    before = operand(flat_previous, previous_columns)
    dH = gradients.dH[:, offset:]
    multiply_columns(before, depth(packed_delta, rows), packed_delta, start, stop, dH, False)
    sum_by_input(flat, read.reshape(rows), gradients.d_projected, gradients.db1, start, stop, offset)


@jit
def sum_by_input(delta, read, d_projected, db1, start, stop, offset):
    """Columns start ... stop of delta (rows x width), summed for each input and over all rows; the sums stand
    `offset` columns further on in d_projected (n x G D_h) and db1 (G D_h). read: rows, the input of each."""
    to, end = start + offset, stop + offset
    for i in range(d_projected.shape[0]):
        clear(d_projected[i, to:end])
    for row in range(delta.shape[0]):
        add(delta[row, start:stop], d_projected[read[row], to:end])
    clear(db1[to:end])
    for i in range(d_projected.shape[0]):
        add(d_projected[i, to:end], db1[to:end])


@jit
def pack_blocks(H, start, stop, packed_H):
    """Columns start ... stop of each of the blocks of H (D_h x G D_h), each block as the panels of a matrix of its
    own: G x its panels."""
    hidden = H.shape[0]
    for block in range(block_count(packed_H)):
        left = block * hidden
        pack_panels(H[:, left : left + hidden], False, start, stop, hidden, block_of(packed_H, block))


@jit
def _pack_all_blocks(H, packed_H):
    """All columns of H's blocks."""
    pack_blocks(H, 0, H.shape[0], packed_H)


@jit
def begin(thread, H, products, batch):
    """The beginning of the loop over time: each thread packs its own columns of H's blocks; returns its part of the
    loop."""
    hidden = H.shape[0]
    start, stop = partition(thread, hidden, 2 * LANES)
    pack_blocks(H, start, stop, products.packed)
    wait(thread)
    return own_part(thread, products.by_columns, batch, hidden)


@jit
def begin_back(thread, H, products, batch):
    """The same of the loop back through time, which reads H'."""
    hidden = H.shape[0]
    start, stop = partition(thread, hidden, 2 * LANES)
    pack_panels(H, True, start, stop, H.shape[1], products.packed)
    wait(thread)
    return own_part(thread, products.by_columns, batch, hidden)


@jit
def own_part(thread, by_columns, batch, hidden):
    """One thread's streams, or its columns of h, in the loop over time, and all of the other."""
    if by_columns:
        start, stop = partition(thread, hidden, 2 * LANES)
        return Part(0, batch, start, stop)
    first, last = partition(thread, batch, 1)
    return Part(first, last, 0, hidden)


@jit
def carry_state(before, reset, initial, part, previous):
    """h(t-1) as step t sees it, into `previous` (B x D_h): `before` (B x D_h), but `initial` (D_h) after a reset
    (B bool)."""
    for b in range(part.first, part.last):
        if reset[b]:
            copy(initial[part.start : part.stop], previous[b, part.start : part.stop])
        else:
            copy(before[b, part.start : part.stop], previous[b, part.start : part.stop])


@jit
def read_inputs(projected, read, part, hidden, blocks, z):
    """What one step's inputs bring: z (B x G D_h) = projected (n x G D_h), the first `blocks` blocks of it. read: B,
    rows of `projected`."""
    for b in range(part.first, part.last):
        for block in range(blocks):
            low, high = block * hidden + part.start, block * hidden + part.stop
            copy(projected[read[b], low:high], z[b, low:high])


@jit
def add_state(before, before_rows, part, packed_H, begin, end, z):
    """z(t) += h(t-1) H, the part's columns of the blocks from `begin` to before `end`. before: the part's streams x
    D_h; before_rows: its pairs; z: the part's streams x G D_h."""
    hidden = before.shape[1]
    own, deep = operand(before, before_rows), depth(packed_H, hidden)
    for block in range(begin, end):
        left = block * hidden
        packed = block_of(packed_H, block)
        multiply_rows(own, deep, packed, part.start, part.stop, z[:, left : left + hidden], True)


@jit
def pack_delta(delta, reset, part, hidden, pairs):
    """The operand of `send_back` from the part's columns of each of delta's blocks. Returns whether `send_back` must
    take the streams one by one, to leave out those that were reset. delta: the part's streams x G D_h."""
    one_by_one, (rows, width) = False, delta.shape
    # All columns at once: of odd blocks the last number of one and the first of the next share a pair.
    block = width if part.stop - part.start == hidden else hidden
    for left in range(0, width, block):
        start, stop = left + part.start, left + part.stop + block - hidden
        fill_rows(delta, start, stop, pairs)
        for b in range(rows):
            if reset[b] and not clear_row(pairs, rows, b, start, stop):
                one_by_one = True
    return one_by_one


@jit
def send_back(delta, pairs, reset, one_by_one, packed_back, part, below):
    """dJ/dh(t-1) += delta(t) H', the part's columns, but where the state was reset. packed_back: panels of H'; delta,
    below: the part's streams x G D_h and x D_h."""
    deep = depth(packed_back, delta.shape[1])
    if one_by_one:
        for b in range(delta.shape[0]):
            if not reset[b]:
                one = delta[b : b + 1]
                multiply_rows(operand(one, pairs), deep, packed_back, part.start, part.stop, below[b : b + 1], True)
    else:
        multiply_rows(operand(delta, pairs), deep, packed_back, part.start, part.stop, below, True)
