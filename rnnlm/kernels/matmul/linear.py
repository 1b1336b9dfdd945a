"""Rows times a matrix of weights, and back:

    y = x W + b           n x k, from x: n x d       W: d x k   b: k
    dJ/dW = x' dJ/dy      dJ/dx = dJ/dy W'

Columns of y, of dJ/dW and of dJ/dx are shared out. The operands that are packed (``matmul.layout``) are given room
by the caller, so that nothing is allocated window after window.
"""

from __future__ import annotations

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.cpu import ROWS
from rnnlm.kernels.elementwise.rows import copy
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_columns, multiply_rows
from rnnlm.kernels.matmul.layout import depth, fill_columns, fill_rows, operand, pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel


@parallel
def forward(thread, x, W, b, x_rows, packed_W, y):
    """y = x W + b. x_rows: room for the pairs of x by rows; packed_W: for the panels of W."""
    (n, d), width = x.shape, W.shape[1]
    first, last = partition(thread, n, ROWS)  # whole tiles
    fill_rows(x[first:last], 0, d, x_rows[first:last])
    start, stop = partition(thread, width, 2 * LANES)
    pack_panels(W, False, start, stop, d, packed_W)
    for i in range(n):
        copy(b[start:stop], y[i, start:stop])
    wait(thread)
    multiply_rows(operand(x, x_rows), depth(packed_W, d), packed_W, start, stop, y, True)


@parallel
def backward(thread, x, W, dy, x_columns, packed_dy, dy_rows, packed_W, dW, dx):
    """Undoes `forward`: dW = x' dy, dx = dy W'. Room for the pairs of x by columns and of dy by rows, for the panels
    of dy and of W'."""
    (n, d), width = x.shape, W.shape[1]
    first, last = partition(thread, n, 2)
    fill_columns(x[first:last], x_columns[first // 2 : (last + 1) // 2])
    start, stop = partition(thread, width, 2 * LANES)
    fill_rows(dy, start, stop, dy_rows)
    pack_panels(dy, False, start, stop, n, packed_dy)
    wait(thread)
    multiply_columns(operand(x, x_columns), depth(packed_dy, n), packed_dy, start, stop, dW, False)
    start, stop = partition(thread, d, 2 * LANES)
    pack_panels(W, True, start, stop, width, packed_W)
    multiply_rows(operand(dy, dy_rows), depth(packed_W, width), packed_W, start, stop, dx, False)


@jit
def pack(W, packed_W):
    """All of W as panels, for `forward_packed`."""
    pack_panels(W, False, 0, W.shape[1], W.shape[0], packed_W)


@parallel
def forward_packed(thread, packed_W, b, x, y):
    """y = x W + b from the panels of all of W. A row is the same to the last bit whatever rows stand beside it."""
    start, stop = partition(thread, b.size, 2 * LANES)
    for i in range(x.shape[0]):
        copy(b[start:stop], y[i, start:stop])
    multiply_rows(x, x.shape[1], packed_W, start, stop, y, True)
