"""The structurally constrained recurrent network (Mikolov et al. 2014).

The paper is "Learning longer memory in recurrent neural networks". It is an Elman network beside units that
only blend, and so forget slowly.

    s(t) = (1 - a) e(t) I_s + a s(t-1)                         slow: 1 x C      a: `context_decay`
    h(t) = sigmoid(h(t-1) H_h + s(t) H_s + e(t) I_h + b1)      fast: 1 x F      C: `context`   F = D_h - C

(The paper writes B for I_s, R for H_h, P for H_s and A for I_h, and has no b1.) What is above reads both, [h s](t),
which is the state too, D_h numbers. The parameters are I = [I_h I_s]: d x D_h; H, which is H_h above H_s: D_h x F;
and b1: F. So what step t multiplies by H is x(t) = [h(t-1) s(t)]: s does not wait for h.

Backward:

    delta1(t) = dJ/dh(t) o h(t) o (1 - h(t))         dJ/dh(t-1) gets delta1(t) H_h'
    dJ/ds(t) gets delta1(t) H_s'                     dJ/ds(t-1) gets a dJ/ds(t)
    dJ/dH = sum_t x(t)' delta1(t)                    dJ/db1 = sum_t delta1(t)
    dJ/d(e(t) I) = [delta1(t)  (1 - a) dJ/ds(t)]

(o: the elementwise product.) h does not wait for s on the way back: first it runs
through time alone, as in ``cells.elman``, then delta1 H_s' of the whole window is one product, and what is left is a
scan.

Where `reset[t]` is set, step t sees the initial state for h(t-1) and s(t-1) and sends nothing back to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.cpu import ROWS
from rnnlm.kernels.elementwise import activations
from rnnlm.kernels.elementwise.rows import clear, copy
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_rows
from rnnlm.kernels.matmul.layout import Numbers, depth, operand, rows_of
from rnnlm.kernels.matmul.layout import Packed as Operand
from rnnlm.kernels.matmul.linear import pack
from rnnlm.kernels.matmul.pack import fill_rows, pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context
from rnnlm.network.cells import initializers, recurrence
from rnnlm.network.cells.elman import Elman
from rnnlm.network.cells.recurrence import (
    Part,
    add_state,
    carry_state,
    clear_part,
    copy_part,
    fill_delta,
    own_part,
    pack_blocks,
    read_inputs,
    send_back,
    step_rows,
)
from rnnlm.network.protocols import Array, Arrays, Axis, Cell, CellGradients, Initializer, Inputs, Shapes


class Trace(NamedTuple):
    """The trace: what `forward` leaves for `backward`; lives until the next window."""

    h: np.ndarray  # T x B x D_h: [h(t) s(t)]
    previous: np.ndarray  # T x B x D_h: x(t) = [h(t-1) s(t)], h(t-1) as step t saw it


class Packed(NamedTuple):
    """Packed weights, for one token at a time."""

    projection: recurrence.Projection
    packed_H: Operand
    fast: int
    a: np.floating


class _Slow(NamedTuple):
    """What the way back through the slow units needs."""

    H_s: np.ndarray  # C x F
    packed: Operand  # panels of H_s'
    rows: Operand  # T B x ..., pairs of delta1
    a: np.floating


@dataclass(frozen=True)
class SCRN(Cell[Trace, Packed]):
    """The structurally constrained recurrent network: d numbers in, D_h units, the last `context` of them slow."""

    d: int
    D_h: int
    context: int = 40
    context_decay: float = 0.95

    @property
    def fast(self) -> int:
        """F, the fast units."""
        return self.D_h - self.context

    @property
    def projection(self) -> int:
        return self.D_h

    @property
    def held(self) -> int:
        return 3 * self.D_h + 4 * self.fast

    def multiplications(self, distinct: int, places: int) -> int:
        return self.D_h * (self.d * distinct + self.fast * places)

    def shapes(self) -> Shapes:
        d, D_h, F = Axis(self.d, "d"), Axis(self.D_h, "D_h"), Axis(self.fast, "F")
        return {"I": (d, D_h), "H": (D_h, F), "b1": (F,)}

    def init(self, generator: np.random.Generator, initializer: Initializer | None = None) -> Arrays:
        """The fast units start as a sigmoid Elman network (``elman.Elman.init``): H_h four times orthogonal, I_h
        uniform in +-2/sqrt(d), and b1 takes away what the mean h = 1/2 brings. I_s is uniform in +-1/sqrt(d), H_s in
        +-1/sqrt(C)."""
        fast = Elman(self.d, self.fast, "sigmoid").init(generator)
        I_s = generator.uniform(-1, 1, (self.d, self.context)) / np.sqrt(self.d)
        H_s = generator.uniform(-1, 1, (self.context, self.fast)) / np.sqrt(self.context)
        I, H = np.hstack([fast["I"], I_s]), np.vstack([fast["H"], H_s])
        if initializer is None:
            return {"I": I, "H": H, "b1": fast["b1"]}
        drawn = initializers.draw(initializer, {"I": I.shape, "H": H.shape}, self.D_h, generator)
        return drawn | {"b1": np.zeros(self.fast)}

    def forward(self, parameters: Arrays, inputs: Inputs, context: Context) -> Trace:
        """[h s](t) of every step of a window."""
        H, (steps, batch) = parameters["H"], inputs.read.shape
        trace = Trace(*(context.workspace.take(name, (steps, batch, self.D_h)) for name in Trace._fields))
        window = recurrence.steps_of(inputs, parameters["I"], self._biases(parameters), context)
        products = recurrence.Products(
            recurrence.by_columns(H[: self.fast], batch, context),
            context.workspace.panels("packed_H", self.D_h, self.fast, 1),
            recurrence.rows_of_steps("previous_rows", batch, self.D_h, context),
            context.workspace.apart("result", batch, self.D_h),
        )
        _recur(context.threads, window, H, self._decay(H), products, trace)
        return trace

    def backward(
        self, parameters: Arrays, gradients: Arrays, inputs: Inputs, trace: Trace, dh: Array, context: Context
    ) -> CellGradients:
        """The slow columns of dh become dJ/ds."""
        I, H, workspace = parameters["I"], parameters["H"], context.workspace
        steps, batch, hidden = dh.shape
        H_h, H_s = H[: self.fast], H[self.fast :]
        d_state, delta1 = (
            workspace.take("d_state", (batch, hidden)),
            workspace.take("delta1", (steps, batch, self.fast)),
        )
        products = recurrence.backward_products(H_h, batch, context)
        _recur_back(context.threads, trace.h, inputs.reset, H_h, products, delta1, dh, d_state)
        d_projected = recurrence.new_projected_gradient(inputs, hidden, context)
        slow = _Slow(
            H_s,
            workspace.panels("packed_slow", self.fast, self.context),
            workspace.rows("slow_rows", steps * batch, self.fast),
            self._decay(H),
        )
        _slow_back(context.threads, inputs.read, inputs.reset, slow, delta1, dh, d_state, d_projected)
        into = recurrence.weight_gradients(gradients, d_projected)
        recurrence.weights_back(delta1, trace.previous, inputs.read, into, 0, context)
        return CellGradients(recurrence.inputs_back(I, gradients["I"], inputs, d_projected, context), d_state)

    def pack(self, parameters: Arrays, context: Context) -> Packed:
        H = parameters["H"]
        packed_H = context.workspace.panels("packed_H", *H.shape)
        pack(H, packed_H)
        projection = recurrence.pack_projection(parameters["I"], self._biases(parameters), context)
        return Packed(projection, packed_H, self.fast, self._decay(H))

    def project(self, packed: Packed, e: Array, projected: Array, threads: int) -> None:
        recurrence.project(packed.projection, e, projected, threads)

    def step(self, packed: Packed, projected: Array, state: Array, new: Array, threads: int) -> Array:
        x = np.empty_like(state)
        threads = recurrence.threads_for(state.size * self.fast, threads)
        _step(threads, packed.packed_H, packed.fast, packed.a, projected, state, x, new)
        return new

    def _biases(self, parameters: Arrays) -> Array:
        """b1, and 0 for the slow units, which have none."""
        return np.pad(parameters["b1"], (0, self.context))

    def _decay(self, H: Array) -> np.floating:
        """a, as a number of the parameters' type."""
        decay: np.floating = H.dtype.type(self.context_decay)
        return decay


@parallel
def _recur(thread, steps, H, a, products, trace):
    """The loop over time; each thread has its own streams, or its own columns of h, and s goes with the last of
    them."""
    batch, fast = steps.read.shape[1], H.shape[1]
    start, stop = partition(thread, fast, 2 * LANES)
    pack_blocks(H, start, stop, products.packed)
    wait(thread)
    part = own_part(thread, products.by_columns, batch, fast)
    start, stop = part.start, part.stop
    end = H.shape[0] if stop == fast else stop
    with_slow = Part(part.first, part.last, start, end)
    h, previous, z = trace.h, trace.previous, products.result
    for t in range(h.shape[0]):
        carry_state(steps.state if t == 0 else h[t - 1], steps.reset[t], steps.initial, with_slow, previous[t])
        read_inputs(steps.projected, steps.read[t], with_slow, fast, 1, z)
        for b in range(part.first, part.last):
            copy(z[b, stop:end], h[t, b, stop:end])
            _slow(a, h[t, b, stop:end], previous[t, b, stop:end])
        before, rows = previous[t, part.first : part.last], step_rows(products.rows, t, part)
        fill_rows(before, start, end, rows)
        if products.by_columns:
            wait(thread)
        add_state(
            before, rows, part, products.packed, 0, 1, z[part.first : part.last]
        )  # z1(t) = [h(t-1) s(t)] H + ...
        for b in range(part.first, part.last):
            copy(z[b, start:stop], h[t, b, start:stop])
            _sigmoid(h[t, b, start:stop])


@jit
def _slow(a, s, before):
    """One stream: s comes as e(t) I_s, before as s(t-1); both become s(t)."""
    rest = s.dtype.type(1) - a
    for j in range(s.size):
        s[j] = rest * s[j] + a * before[j]
    copy(s, before)


@jit
def _sigmoid(z):
    """z := sigmoid(z), a row."""
    for j in range(z.size):
        z[j] = activations.sigmoid(z[j])


@parallel
def _recur_back(thread, h, reset, H_h, products, delta1, dh, d_state):
    """Undoes `_recur` but for s: makes delta1."""
    steps, batch, fast = delta1.shape
    start, stop = partition(thread, fast, 2 * LANES)
    pack_panels(H_h, True, start, stop, fast, products.packed)
    wait(thread)
    part = own_part(thread, products.by_columns, batch, fast)
    start, stop, sent = part.start, part.stop, products.result
    clear_part(sent, part)
    for t in range(steps - 1, -1, -1):
        for b in range(part.first, part.last):
            own = dh[t, b, start:stop]
            _sigmoid_back(h[t, b, start:stop], own, sent[b, start:stop], delta1[t, b, start:stop])
        delta, rows = delta1[t, part.first : part.last], step_rows(products.rows, t, part)
        fill_delta(delta, part, fast, rows)
        if products.by_columns:
            wait(thread)
        send_back(delta, rows, reset[t], products.packed, part, sent)  # dJ/dh(t-1) += delta1(t) H_h'
    copy_part(sent, part, d_state)


@jit
def _sigmoid_back(h, dh, sent, delta):
    """delta = (dh + sent) o h o (1 - h), rows."""
    one = h.dtype.type(1)
    for j in range(h.size):
        delta[j] = (dh[j] + sent[j]) * h[j] * (one - h[j])


@parallel
def _slow_back(thread, read, reset, slow, delta1, dh, d_state, d_projected):
    """Undoes `_slow` and the product of s with H: the whole of dJ/ds, and what it gives to each different input."""
    steps, batch, fast = delta1.shape
    hidden, context, rows = dh.shape[2], slow.H_s.shape[0], steps * batch
    start, stop = partition(thread, context, 2 * LANES)
    pack_panels(slow.H_s, True, start, stop, fast, slow.packed)
    wait(thread)
    first, last = partition(thread, rows, ROWS)  # whole tiles
    own, pairs = delta1.reshape((rows, fast))[first:last], rows_of(slow.rows, first, last)
    fill_rows(own, 0, fast, pairs)
    multiply_rows(  # dJ/ds(t) += delta1(t) H_s'
        operand(own, pairs), depth(slow.packed, fast), slow.packed, 0, context,
        dh.reshape((rows, hidden))[first:last, fast:], True,
    )  # fmt: skip
    wait(thread)
    start, stop = partition(thread, context, LANES)
    start, stop = fast + start, fast + stop
    for i in range(d_projected.shape[0]):
        clear(d_projected[i, start:stop])
    for b in range(batch):
        clear(d_state[b, start:stop])
    rest = dh.dtype.type(1) - slow.a
    for t in range(steps - 1, -1, -1):
        below = d_state if t == 0 else dh[t - 1]
        for b in range(batch):
            ds = dh[t, b, start:stop]
            _add_multiple(rest, ds, d_projected[read[t, b], start:stop])
            if not reset[t, b]:
                _add_multiple(slow.a, ds, below[b, start:stop])


@jit
def _add_multiple(factor, source, target):
    """target += factor source, rows."""
    for j in range(target.size):
        target[j] += factor * source[j]


@parallel
def _step(thread, packed_H, fast, a, projected, state, x, new):
    """One token: new(state), all B x D_h; x: room for [h(t-1) s(t)]. Each thread has its own columns, the last one s
    too."""
    batch, hidden = state.shape
    start, stop = partition(thread, fast, 2 * LANES)
    end = hidden if stop == fast else stop
    for b in range(batch):
        copy(state[b, start:end], x[b, start:end])
        copy(projected[b, start:end], new[b, start:end])
        _slow(a, new[b, stop:end], x[b, stop:end])
    wait(thread)
    multiply_rows(Numbers(x), hidden, packed_H, start, stop, new, True)
    for b in range(batch):
        _sigmoid(new[b, start:stop])
