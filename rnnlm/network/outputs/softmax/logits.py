"""Whole rows of logits: for sampling, for small vocabularies, and for what is said beside a probability."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rnnlm.kernels import cpu
from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise.exp import exp
from rnnlm.kernels.elementwise.rows import copy
from rnnlm.kernels.elementwise.softmax import exp_sum, largest
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_rows
from rnnlm.kernels.matmul.layout import pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel

if TYPE_CHECKING:
    from rnnlm.kernels.workspace import Workspace

# What exp() gives where the true result is smaller: nothing is drawn from there.
_TINY = 1.2e-38


def forward(h, U, b2, tied, targets, log_probability, rank, entropy, details, workspace: Workspace, threads):
    """Writes log_probability, and with `details` rank and entropy; see ``outputs.softmax.forward``."""
    block = max(1, min(-(-h.shape[0] // threads), cpu.LOGITS_A_THREAD // b2.size))
    z = workspace.take("logits", (threads, block, b2.size))
    packed = _whole(workspace, *_shape(U, tied))
    _forward(threads, h, U, packed, b2, tied, targets, z, log_probability, rank, entropy, details)


def distribution(h, U, b2, tied, workspace: Workspace):
    """log y^(t), N x |V| float64."""
    z = workspace.take("logits", (h.shape[0], b2.size))
    step(ready(U, tied, workspace), b2, h, z, 1)
    return log_softmax(z)


def log_softmax(z):
    """log y^ of rows of z2, N x |V|, in float64."""
    z = z.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def _shape(U, tied) -> tuple[int, int]:
    """D_h, |V|."""
    return U.shape[::-1] if tied else U.shape


def _whole(workspace: Workspace, hidden: int, vocabulary: int) -> np.ndarray:
    """Room for U packed as panels of its own numbers: whole rows are not rounded, in training either."""
    return workspace.take("whole_U", (hidden * (-(-vocabulary // LANES) * LANES),))


def ready(U, tied, workspace: Workspace):
    """What `step` and `draw` read, from weights that do not change any more."""
    hidden, vocabulary = _shape(U, tied)
    packed = _whole(workspace, hidden, vocabulary)
    _pack(U, tied, hidden, vocabulary, packed)
    return packed


def step(packed, b2, h, z, threads):
    """z2 = h U + b2, B x |V|, written to z; `packed` from `ready`."""
    _step(cpu.useful_threads(threads, h.size * b2.size, cpu.MULTIPLICATIONS), packed, b2, h, z)


def draw(z, temperature, without, uniforms, threads):
    """A token of each row of z2 (which is written over): the one at `uniforms` (each in [0, 1)) of the probabilities
    e^(z2 / temperature), cumulated; temperature 0: the most probable. `without`: a token never drawn; -1: none."""
    chosen = np.empty(len(z), np.int32)
    if len(z) == 1:
        threads = 1
    threads = cpu.useful_threads(threads, z.size, cpu.DRAWN_LOGITS)
    _draw(threads, z, z.dtype.type(temperature), without, uniforms, chosen)
    return chosen


@jit
def _pack(U, tied, hidden, vocabulary, packed):
    pack_panels(U, tied, 0, vocabulary, hidden, packed)


@parallel
def _step(thread, packed, b2, h, z):
    """Each thread has its own columns."""
    start, stop = partition(thread, b2.size, 2 * LANES)
    for b in range(h.shape[0]):
        copy(b2[start:stop], z[b, start:stop])
    multiply_rows(h, h.shape[1], packed, start, stop, z, True)


@parallel
def _draw(thread, z, temperature, without, uniforms, chosen):
    start, stop = partition(thread, z.shape[0], 1)
    for b in range(start, stop):
        chosen[b] = _draw_one(z[b], temperature, without, uniforms[b])


@jit
def _draw_one(z, temperature, without, uniform):
    if without >= 0:
        z[without] = -np.inf
    shift = largest(z)
    if temperature == 0:
        for j in range(z.size):
            if z[j] == shift:
                return j
    total = 0.0
    for j in range(z.size):
        z[j] = exp((z[j] - shift) / temperature)
        total += np.float64(z[j])
    wanted, sum_, last = uniform * total, 0.0, 0
    for j in range(z.size):
        if z[j] > _TINY:
            sum_ += np.float64(z[j])
            last = j
            if sum_ > wanted:
                return j
    return last  # the sum in order may fall short of the total by its rounding


@parallel
def _forward(thread, h, U, packed, b2, tied, targets, logits, log_probability, rank, entropy, details):
    hidden, vocabulary = h.shape[1], b2.size
    start, stop = partition(thread, vocabulary, 2 * LANES)
    pack_panels(U, tied, start, stop, hidden, packed)
    wait(thread)
    start, stop = partition(thread, h.shape[0], 1)
    block = logits.shape[1]
    for first in range(start, stop, block):
        last = min(stop, first + block)
        z = logits[thread.number, : last - first]
        for i in range(last - first):
            copy(b2, z[i])
        multiply_rows(h[first:last], hidden, packed, 0, vocabulary, z, True)  # z2 = h U + b2
        for i in range(last - first):
            if details:
                rank[first + i], entropy[first + i] = rank_and_entropy(z[i], targets[first + i])
            log_probability[first + i] = _log_probability(z[i], targets[first + i])


@jit
def _log_probability(z, target):
    """log y^_target; z becomes exp(z - max z)."""
    shift = largest(z)
    own = z[target] - shift
    return np.float64(own) - math.log(np.float64(exp_sum(z, shift)))


@jit
def rank_and_entropy(z, target):
    """1 + how many logits are above the target's; -sum y^ log y^ = log Z - sum (z - m) e^(z - m) / Z."""
    shift = np.float64(largest(z))
    above, total, weighted = 0, 0.0, 0.0
    for j in range(z.size):
        above += z[j] > z[target]
        below = np.float64(z[j]) - shift
        e = math.exp(below)
        total += e
        weighted += below * e
    return 1 + above, math.log(total) - weighted / total
