"""What the recurrent layers have in common: everything but the equations of a step.

G is the number of a cell's blocks of D_h columns: 1 in the Elman network, 3 or 4 where there are gates. All of them
read the inputs by one product and the state by another:

    projected = e I + b1           n x G D_h, once for each of the window's n different inputs
    z(t) = projected + h(t-1) H    B x G D_h, step after step                        I: d x G D_h   H: D_h x G D_h

and with delta(t) = dJ/dz(t) send back

    dJ/dh(t-1) += delta(t) H'      but where the state was reset, step after step
    dJ/dH = sum_t h(t-1)' delta(t)     dJ/db1 = sum_t delta(t)
    dJ/dI = sum_t e(t)' delta(t)       dJ/de(t) = delta(t) I'       summed by input before it is multiplied

In the loops over time a thread has its own streams, all columns of them, or its own columns of h and of every block,
for all streams (`by_columns`); then all meet once a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.cpu import MULTIPLICATIONS, RECURRENT_BYTES, RECURRENT_COLUMNS, useful_threads
from rnnlm.kernels.elementwise.rows import add, clear, copy
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul import linear
from rnnlm.kernels.matmul.gemm import multiply_columns, multiply_rows
from rnnlm.kernels.matmul.layout import block_count, block_of, depth, depths_of, operand
from rnnlm.kernels.matmul.linear import pack
from rnnlm.kernels.matmul.pack import clear_row, fill_columns, fill_rows, pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context

if TYPE_CHECKING:
    from rnnlm.kernels.workspace import Workspace


def by_columns(H, batch, threads):
    """Whether threads share out the columns of h, waiting for each other at every step, instead of the streams: where
    there are fewer streams than threads, or where H does not stay in a core's second cache. (Blocks of an odd width
    are never shared out: pairs of bfloat16 would lie across two of them.)"""
    hidden, width = H.shape
    fits = hidden >= RECURRENT_COLUMNS * threads and (width == hidden or hidden % 2 == 0)
    return threads > 1 and fits and (batch < threads or H.nbytes > RECURRENT_BYTES)


def threads_for(multiplications, threads):
    """As many threads as a product is worth."""
    return useful_threads(threads, multiplications, MULTIPLICATIONS)


def project(parameters, e, workspace: Workspace, threads):
    """projected = e I + b1, n x G D_h."""
    I = parameters["I"]
    projected = workspace.take("projected", (len(e), I.shape[1]))
    linear.forward(e, I, parameters["b1"], projected, Context(workspace, threads))
    return projected


def weights_back(delta, index, previous, gradients, d_projected, offset, workspace: Workspace, threads):
    """From delta (T x B x some blocks) and what H multiplied (T x B x D_h): these blocks of dJ/dH, of dJ/db1 and of
    d_projected (delta summed by input), columns from `offset` on."""
    steps, batch, width = delta.shape
    rows, hidden = steps * batch, previous.shape[2]
    _weights_back(
        threads, delta, index, previous, workspace.columns("previous_columns", rows, hidden),
        workspace.panels("packed_delta", rows, width), d_projected, gradients["H"], gradients["b1"], offset,
    )  # fmt: skip


def project_back(parameters, e, d_projected, gradients, workspace: Workspace, threads):
    """Undoes `project`: dJ/dI, and dJ/de (n x d) for each different input."""
    de = workspace.take("de", e.shape)
    linear.backward(e, parameters["I"], d_projected, gradients["I"], de, Context(workspace, threads))
    return de


def ready_projection(parameters, workspace: Workspace):
    """What `project_ready` reads, from weights that do not change any more."""
    I = parameters["I"]
    packed = workspace.panels("packed_I", *I.shape)
    pack(I, packed)
    return packed, parameters["b1"]


def project_ready(packed, e, projected, threads):
    """projected = e I + b1, n x G D_h; `packed` from `ready_projection`."""
    packed_I, b1 = packed
    linear.forward_packed(threads_for(e.size * b1.size, threads), packed_I, b1, e, projected)


@parallel
def _weights_back(thread, delta, index, previous, previous_columns, packed_delta, d_projected, dH, db1, offset):
    """Columns of delta are shared out."""
    steps, batch, width = delta.shape
    rows, hidden = steps * batch, previous.shape[2]
    flat, flat_previous = delta.reshape((rows, width)), previous.reshape((rows, hidden))
    first, last = partition(thread, rows, 2)
    fill_columns(flat_previous[first:last], depths_of(previous_columns, first, last))
    start, stop = partition(thread, width, 2 * LANES)
    pack_panels(flat, False, start, stop, rows, packed_delta)
    wait(thread)
    before = operand(flat_previous, previous_columns)
    multiply_columns(before, depth(packed_delta, rows), packed_delta, start, stop, dH[:, offset:], False)
    sum_by_input(flat, index.reshape(rows), d_projected, db1, start, stop, offset)


@jit
def sum_by_input(delta, index, d_projected, db1, start, stop, offset):
    """Columns start ... stop of delta (rows x width), summed for each input and over all rows; what they become
    stands `offset` columns further on."""
    to, end = start + offset, stop + offset
    for i in range(d_projected.shape[0]):
        clear(d_projected[i, to:end])
    for row in range(delta.shape[0]):
        add(delta[row, start:stop], d_projected[index[row], to:end])
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
def pack_all_blocks(H, packed_H):
    """All columns of H's blocks."""
    pack_blocks(H, 0, H.shape[0], packed_H)


@jit
def part(thread, by_columns, batch, hidden):
    """One thread's streams, first ... last, and its columns of h, start ... stop, in the loop over time: all of
    one."""
    if by_columns:
        start, stop = partition(thread, hidden, 2 * LANES)
        return 0, batch, start, stop
    first, last = partition(thread, batch, 1)
    return first, last, 0, hidden


@jit
def take_over(below, reset, first, last, start, stop, previous):
    """h(t-1) as step t sees it, into `previous` (B x D_h): `below`, but 0 after a reset (B bool)."""
    for b in range(first, last):
        if reset[b]:
            clear(previous[b, start:stop])
        else:
            copy(below[b, start:stop], previous[b, start:stop])


@jit
def read_inputs(projected, index, first, last, start, stop, hidden, blocks, z):
    """What one step's inputs (index: B) bring: z = projected, the first `blocks` blocks of it."""
    for b in range(first, last):
        for block in range(blocks):
            low, high = block * hidden + start, block * hidden + stop
            copy(projected[index[b], low:high], z[b, low:high])


@jit
def add_state(before, before_rows, start, stop, packed_H, begin, end, z):
    """z(t) += h(t-1) H, columns start ... stop of the blocks from `begin` to before `end`."""
    hidden = before.shape[1]
    own, deep = operand(before, before_rows), depth(packed_H, hidden)
    for block in range(begin, end):
        left = block * hidden
        multiply_rows(own, deep, block_of(packed_H, block), start, stop, z[:, left : left + hidden], True)


@jit
def fill_back(delta, reset, start, stop, hidden, pairs):
    """The operand of `send_back` from columns start ... stop of each of delta's blocks. Returns whether `send_back`
    must take the streams one by one, to leave out those that were reset."""
    one_by_one, rows = False, delta.shape[0]
    for left in range(0, delta.shape[1], hidden):
        fill_rows(delta, left + start, left + stop, pairs)
        for b in range(rows):
            if reset[b] and not clear_row(pairs, rows, b, left + start, left + stop):
                one_by_one = True
    return one_by_one


@jit
def send_back(delta, pairs, reset, one_by_one, packed_back, start, stop, below):
    """dJ/dh(t-1) += delta(t) H', columns start ... stop, but where the state was reset. packed_back: H'."""
    deep = depth(packed_back, delta.shape[1])
    if one_by_one:
        for b in range(delta.shape[0]):
            if not reset[b]:
                one = delta[b : b + 1]
                multiply_rows(operand(one, pairs), deep, packed_back, start, stop, below[b : b + 1], True)
    else:
        multiply_rows(operand(delta, pairs), deep, packed_back, start, stop, below, True)
