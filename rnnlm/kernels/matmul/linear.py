"""The linear layer: rows times a matrix of weights, forward and backward.

    y = x W + b           n x k, from x: n x d       W: d x k   b: k
    dJ/dW = x' dJ/dy      dJ/dx = dJ/dy W'

Threads partition the columns of y, of dJ/dW and of dJ/dx. The packed operands (``matmul.layout``) lie in the
caller's workspace, so that nothing is allocated window after window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.cpu import ROWS
from rnnlm.kernels.elementwise.rows import copy
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_columns, multiply_rows
from rnnlm.kernels.matmul.layout import Numbers, Packed, depth, depth_grain, depths_of, operand, rows_of
from rnnlm.kernels.matmul.pack import fill_columns, fill_rows, pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel

if TYPE_CHECKING:
    from rnnlm.kernels.workspace import Context


class _Forward(NamedTuple):
    """The packed operands of y = x W."""

    x: Packed  # by rows
    W: Packed  # panels


class _Backward(NamedTuple):
    """The packed operands of dW = x' dy and dx = dy W'."""

    x: Packed  # by columns
    dy: Packed  # panels
    dy_rows: Packed  # by rows
    W: Packed  # panels of W'


def forward(
    x: np.ndarray, W: np.ndarray, b: np.ndarray, y: np.ndarray, context: Context, transposed: bool = False
) -> None:
    """y = x W + b, or with W `transposed` y = x W' + b. x: n x d, W: d x k (transposed: k x d), b: k, y: n x k."""
    workspace = context.workspace.part("linear")
    packed = _Forward(workspace.rows("x_rows", *x.shape), workspace.panels("packed_W", x.shape[1], b.size))
    _forward(context.threads, x, W, transposed, b, packed, y)


def backward(x: np.ndarray, W: np.ndarray, dy: np.ndarray, dW: np.ndarray, dx: np.ndarray, context: Context) -> None:
    """Undoes `forward`: dW = x' dy, dx = dy W'."""
    (n, d), k, workspace = x.shape, W.shape[1], context.workspace.part("linear")
    packed = _Backward(
        workspace.columns("x_columns", n, d),
        workspace.panels("packed_dy", n, k),
        workspace.rows("dy_rows", n, k),
        workspace.panels("packed_W", k, d),
    )
    _backward(context.threads, x, W, dy, packed, dW, dx)


def outer(x: np.ndarray, dy: np.ndarray, dW: np.ndarray, context: Context, add: bool = False) -> None:
    """dW = x' dy alone, or with `add` dW += x' dy. x: n x d, dy: n x k, dW: d x k."""
    (n, d), k, workspace = x.shape, dy.shape[1], context.workspace.part("linear")
    _outer(context.threads, x, dy, workspace.columns("x_columns", n, d), workspace.panels("packed_dy", n, k), dW, add)


@parallel
def _forward(thread, x, W, transposed, b, packed, y):
    """Each thread packs its rows of x and its columns of W, and multiplies these columns; see `forward`."""
    (n, d), k = x.shape, b.size
    first, last = partition(thread, n, ROWS)  # whole tiles
    fill_rows(x[first:last], 0, d, rows_of(packed.x, first, last))
    start, stop = partition(thread, k, 2 * LANES)
    pack_panels(W, transposed, start, stop, d, packed.W)
    for i in range(n):
        copy(b[start:stop], y[i, start:stop])
    wait(thread)
    multiply_rows(operand(x, packed.x), depth(packed.W, d), packed.W, start, stop, y, True)


@parallel
def _backward(thread, x, W, dy, packed, dW, dx):
    """Each thread has its columns of dW, then its columns of dx; see `backward`."""
    (n, d), k = x.shape, W.shape[1]
    first, last = partition(thread, n, depth_grain(packed.x))
    fill_columns(x[first:last], depths_of(packed.x, first, last))
    start, stop = partition(thread, k, 2 * LANES)
    fill_rows(dy, start, stop, packed.dy_rows)
    pack_panels(dy, False, start, stop, n, packed.dy)
    wait(thread)
    multiply_columns(packed.x, depth(packed.dy, n), packed.dy, start, stop, dW, False)
    start, stop = partition(thread, d, 2 * LANES)
    pack_panels(W, True, start, stop, k, packed.W)
    multiply_rows(operand(dy, packed.dy_rows), depth(packed.W, k), packed.W, start, stop, dx, False)


@parallel
def _outer(thread, x, dy, columns, panels, dW, add):
    """Each thread has its columns of dW; see `outer`."""
    n = x.shape[0]
    first, last = partition(thread, n, depth_grain(columns))
    fill_columns(x[first:last], depths_of(columns, first, last))
    start, stop = partition(thread, dy.shape[1], 2 * LANES)
    pack_panels(dy, False, start, stop, n, panels)
    wait(thread)
    multiply_columns(columns, depth(panels, n), panels, start, stop, dW, add)


@jit
def pack(W, packed_W):
    """All of W (d x k) as panels, for `forward_packed`."""
    pack_panels(W, False, 0, W.shape[1], W.shape[0], packed_W)


@parallel
def forward_packed(thread, packed_W, b, x, y):
    """y = x W + b from the panels of all of W. A row is the same to the last bit whatever rows stand beside it."""
    start, stop = partition(thread, b.size, 2 * LANES)
    for i in range(x.shape[0]):
        copy(b[start:stop], y[i, start:stop])
    multiply_rows(Numbers(x), x.shape[1], packed_W, start, stop, y, True)
