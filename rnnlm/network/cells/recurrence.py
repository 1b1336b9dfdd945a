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

from rnnlm.kernels import cpu
from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise.rows import add, clear, copy, in_one_place
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul import linear
from rnnlm.kernels.matmul.gemm import multiply_columns, multiply_rows
from rnnlm.kernels.matmul.layout import Packed as Operand
from rnnlm.kernels.matmul.layout import (
    behind,
    block_count,
    block_of,
    depth,
    depth_grain,
    depths_of,
    element_bytes,
    operand,
    rows_at,
)
from rnnlm.kernels.matmul.linear import pack
from rnnlm.kernels.matmul.pack import fill_columns, fill_rows, pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context
from rnnlm.network.protocols import Array, Arrays, Inputs

# Rows of delta that go through packing, multiplication and sums together: a multiple of ``cpu.DEPTH_BLOCK``.
_STRETCH = 2 * cpu.DEPTH_BLOCK


class Steps(NamedTuple):
    """Inputs of a loop over time."""

    projected: np.ndarray  # n x G D_h: e I + b1 of the different inputs
    read: np.ndarray  # T x B int32, the row of `projected` that each place reads
    reset: np.ndarray  # T x B bool
    state: np.ndarray  # B x S, before the window
    initial: np.ndarray  # S, where `reset` is set


class Products(NamedTuple):
    """Operands and results of the products of a loop over time, and its partition."""

    by_columns: bool  # threads have their own columns of h instead of their own streams
    packed: Operand  # panels of H, or of H'
    rows: Operand  # by rows, of two steps: h(t-1), or delta(t)
    result: np.ndarray  # B x D_h or more, of one step's product, where that does not go into the trace


class Part(NamedTuple):
    """One thread's part of a step: streams first ... last and columns start ... stop of h and of every block."""

    first: int
    last: int
    start: int
    stop: int


def by_columns(H: Array, batch: int, context: Context) -> bool:
    """Whether threads have their own columns of h, waiting for each other at every step, instead of their own
    streams: where there are fewer streams than threads, or where these are few and H does not stay in a core's second
    cache. (Blocks of an odd width are never cut: pairs of bfloat16 would lie across two of them.) Results are the
    same to the last bit."""
    (hidden, width), (workspace, threads) = H.shape, context
    fits = hidden >= cpu.RECURRENT_COLUMNS * threads and (width == hidden or hidden % 2 == 0)
    large = H.size * element_bytes(workspace.layout, H.dtype) > cpu.RECURRENT_BYTES
    return threads > 1 and fits and (batch < threads or (large and batch < cpu.RECURRENT_STREAMS * threads))


def threads_for(multiplications: int, threads: int) -> int:
    """The number of threads for a product of this size."""
    return cpu.useful_threads(threads, multiplications, cpu.MULTIPLICATIONS)


def new_states(name: str, steps: int, inputs: Inputs, width: int, context: Context) -> tuple[Array, Array]:
    """Room for s(t) and for s(t-1) as step t sees it, T x B x `width` each. Where no step but the first is reset they
    are one array, a step apart, and `carry_state` has nothing to copy."""
    shape, take = (steps, len(inputs.state), width), context.workspace.take
    if inputs.reset[1:].any():
        return take(name, shape), take(f"previous_{name}", shape)
    both = take(name, (steps + 1, *shape[1:]))
    return both[1:], both[:-1]


def rows_of_steps(name: str, batch: int, width: int, context: Context) -> Operand:
    """Room for an operand by rows (B x `width`) that every step makes anew. There are two, for `step_rows`."""
    return context.workspace.rows(name, 2, batch, width)


@jit
def step_rows(rows, t, part):
    """The part's rows of step t in what `rows_of_steps` gives. Steps take turns: while a thread writes the next
    one's, another may still read those of the last."""
    return rows_at(rows, t % 2, part.first, part.last)


def forward_products(H: Array, batch: int, context: Context) -> Products:
    """Room for the loop over time: each block of H as the panels of a matrix of its own."""
    (hidden, width), workspace = H.shape, context.workspace
    return Products(
        by_columns(H, batch, context),
        workspace.panels("packed_H", hidden, hidden, width // hidden),
        rows_of_steps("previous_rows", batch, hidden, context),
        workspace.apart("result", batch, hidden),
    )


def backward_products(H: Array, batch: int, context: Context) -> Products:
    """Room for the loop back: H' as one matrix, G D_h x D_h."""
    (hidden, width), workspace = H.shape, context.workspace
    return Products(
        by_columns(H, batch, context),
        workspace.panels("packed_back", width, hidden),
        rows_of_steps("delta_rows", batch, width, context),
        workspace.apart("result", batch, hidden),
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
        workspace.panels("packed_delta", min(rows, _STRETCH), width),
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
    """Partitioned by columns of delta; see `weights_back`. A stretch of rows is packed, multiplied and summed up
    before the next, so that it comes from memory once."""
    steps, batch, width = delta.shape
    rows, hidden = steps * batch, previous.shape[2]
    flat, flat_previous = delta.reshape((rows, width)), previous.reshape((rows, hidden))
    first, last = partition(thread, rows, depth_grain(previous_columns))
    fill_columns(flat_previous[first:last], depths_of(previous_columns, first, last))
    start, stop = partition(thread, width, 2 * LANES)
    wait(thread)
    inputs = read.reshape(rows)
    d_projected, to, end = gradients.d_projected, start + offset, stop + offset
    dH, own_packed = gradients.dH[:, to:end], behind(packed_delta, start * depth(packed_delta, min(rows, _STRETCH)))
    _clear_columns(d_projected, to, end)
    for low in range(0, rows, _STRETCH):
        high = min(low + _STRETCH, rows)
        pack_panels(flat[low:high, start:stop], False, 0, stop - start, high - low, own_packed)
        deep = depth(own_packed, high - low)
        multiply_columns(depths_of(previous_columns, low, high), deep, own_packed, 0, stop - start, dH, low > 0)
        _add_by_input(flat[low:high], inputs[low:high], d_projected, start, stop, offset)
    _sum_columns(d_projected, gradients.db1, to, end)


@jit
def sum_by_input(delta, read, d_projected, db1, start, stop, offset):
    """Columns start ... stop of delta (rows x width), summed for each input and over all rows; the sums stand
    `offset` columns further on in d_projected (n x G D_h) and db1 (G D_h). read: rows, the input of each."""
    to, end = start + offset, stop + offset
    _clear_columns(d_projected, to, end)
    _add_by_input(delta, read, d_projected, start, stop, offset)
    _sum_columns(d_projected, db1, to, end)


@jit
def _clear_columns(a, start, stop):
    for i in range(a.shape[0]):
        clear(a[i, start:stop])


@jit
def _add_by_input(delta, read, d_projected, start, stop, offset):
    for row in range(delta.shape[0]):
        add(delta[row, start:stop], d_projected[read[row], start + offset : stop + offset])


@jit
def _sum_columns(a, sums, start, stop):
    clear(sums[start:stop])
    for i in range(a.shape[0]):
        add(a[i, start:stop], sums[start:stop])


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
    (B bool). Where both are one array nothing is copied: `new_states` makes one only where no such step is reset."""
    if in_one_place(before, previous):
        return
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
    D_h; before_rows: the same as an operand; z: the part's streams x G D_h."""
    hidden = before.shape[1]
    own, deep = operand(before, before_rows), depth(packed_H, hidden)
    for block in range(begin, end):
        left = block * hidden
        packed = block_of(packed_H, block)
        multiply_rows(own, deep, packed, part.start, part.stop, z[:, left : left + hidden], True)


@jit
def fill_delta(delta, part, hidden, rows):
    """The operand of `send_back` from the part's columns of each of delta's blocks. delta: the part's streams x
    G D_h."""
    width = delta.shape[1]
    # All columns at once: of odd blocks the last number of one and the first of the next share a pair.
    block = width if part.stop - part.start == hidden else hidden
    for left in range(0, width, block):
        fill_rows(delta, left + part.start, left + part.stop + block - hidden, rows)


@jit
def clear_part(sent, part):
    """Zeros for the part's columns of sent (B x D_h or more)."""
    for b in range(part.first, part.last):
        clear(sent[b, part.start : part.stop])


@jit
def send_back(delta, delta_rows, reset, packed_back, part, sent):
    """What step t adds to dJ/dh(t-1), the part's columns: sent = delta(t) H', but 0 where the state was reset. delta:
    the part's streams x G D_h; delta_rows: the same as an operand; sent: B x D_h or more; reset: B."""
    own, to = operand(delta, delta_rows), sent[part.first : part.last]
    multiply_rows(own, depth(packed_back, delta.shape[1]), packed_back, part.start, part.stop, to, False)
    for b in range(part.first, part.last):
        if reset[b]:
            clear(sent[b, part.start : part.stop])


@jit
def copy_part(sent, part, d_state):
    """The part's columns of sent (B x D_h or more), as dJ/dh before the window (B x D_h)."""
    for b in range(part.first, part.last):
        copy(sent[b, part.start : part.stop], d_state[b, part.start : part.stop])
