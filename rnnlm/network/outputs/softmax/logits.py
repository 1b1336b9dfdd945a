"""Whole rows of logits, for sampling, small vocabularies, ranks and entropies."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.kernels import cpu
from rnnlm.kernels.cpu import LANES32 as LANES
from rnnlm.kernels.elementwise.exp import exp
from rnnlm.kernels.elementwise.rows import copy
from rnnlm.kernels.elementwise.softmax import exp_sum, largest
from rnnlm.kernels.jit import jit
from rnnlm.kernels.matmul.gemm import multiply_rows
from rnnlm.kernels.matmul.layout import Numbers, panels_shape
from rnnlm.kernels.matmul.pack import pack_panels
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.outputs.softmax.weights import Block, Weights
from rnnlm.network.protocols import Array, Draw, Scores

# What exp() gives where the true result is smaller: nothing is drawn from there.
_TINY = 1.2e-38


class Packed(NamedTuple):
    """Weights that do not change any more, for one token at a time."""

    packed_U: Numbers  # panels of U
    b2: np.ndarray  # |V|


def forward(rows: Block, weights: Weights, scores: Scores, details: bool, context: Context) -> None:
    """Writes log y^ of the targets, and with `details` all scores."""
    threads = cpu.useful_threads(context.threads, rows.h.size * weights.V, cpu.SCORED_LOGITS)
    block = max(1, min(-(-len(rows.h) // threads), cpu.LOGITS_A_THREAD // weights.V))
    z = context.workspace.take("logits", (threads, block, weights.V))
    packed = Packed(_room(weights, context.workspace), weights.b2)
    _forward(threads, rows, weights, packed, z, scores, details)


def pack(weights: Weights, workspace: Workspace) -> Packed:
    """What `step` reads."""
    packed_U = _room(weights, workspace)
    _pack(weights, weights.D_h, packed_U)
    return Packed(packed_U, weights.b2)


def _room(weights: Weights, workspace: Workspace) -> Numbers:
    """Room for U packed as panels of its own numbers: whole rows are not rounded, in training either."""
    return Numbers(workspace.take("whole_U", panels_shape(Numbers, weights.D_h, weights.V)))


def step(packed: Packed, h: Array, z: Array, threads: int) -> None:
    """z2 = h U + b2 of rows of h (B x D_h), written to z (B x |V|)."""
    threads = cpu.useful_threads(threads, h.size * packed.b2.size, cpu.MULTIPLICATIONS)
    _step(threads, packed, h, z)


def log_softmax(z: Array) -> NDArray[np.float64]:
    """log y^ of rows of z2, N x |V|, in float64."""
    z = z.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))


def draw(z: Array, how: Draw, threads: int) -> NDArray[np.int32]:
    """A token of each row of z2 (B x |V|, written over), from the probabilities e^(z2 / temperature), cumulated."""
    chosen = np.empty(len(z), np.int32)
    own = None if how.log_probability is None else z.copy()
    if how.excluded is not None:
        z[:, how.excluded] = -np.inf
    if len(z) == 1:
        threads = 1
    threads = cpu.useful_threads(threads, z.size, cpu.DRAWN_LOGITS)
    # As a float32, 1e39 would be infinite, and 0 / infinity for what is excluded no number.
    temperature = z.dtype.type(min(how.temperature, float(np.finfo(z.dtype).max)))
    _draw(threads, z, temperature, how.uniforms, chosen)
    if own is not None:
        _log_probabilities(threads, own, chosen, how.log_probability)
    return chosen


@jit
def _pack(weights, hidden, packed_U):
    """All of U (hidden x |V|) as panels."""
    pack_panels(weights.U, weights.tied, 0, weights.b2.size, hidden, packed_U)


@parallel
def _step(thread, packed, h, z):
    """z (B x |V|) = h (B x D_h) U + b2. Each thread has its own columns."""
    start, stop = partition(thread, packed.b2.size, 2 * LANES)
    for b in range(h.shape[0]):
        copy(packed.b2[start:stop], z[b, start:stop])
    multiply_rows(Numbers(h), h.shape[1], packed.packed_U, start, stop, z, True)


@parallel
def _draw(thread, z, temperature, uniforms, chosen):
    """Each thread has its own rows of z (B x |V|), of uniforms and of chosen (B)."""
    start, stop = partition(thread, z.shape[0], 1)
    for b in range(start, stop):
        chosen[b] = _draw_one(z[b], temperature, uniforms[b])


@parallel
def _log_probabilities(thread, z, chosen, log_probability):
    """log y^ of what was drawn (B) from rows of z2 (B x |V|, written over). Each thread has its own rows."""
    start, stop = partition(thread, z.shape[0], 1)
    for b in range(start, stop):
        log_probability[b] = _log_probability(z[b], chosen[b])


@jit
def _draw_one(z, temperature, uniform):
    """A token from one row of logits (|V|, written over)."""
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
def _forward(thread, rows, weights, packed, logits, scores, details):
    """Each thread has its own rows. logits: own, a block of rows of z2."""
    (count, hidden), vocabulary = rows.h.shape, weights.b2.size
    start, stop = partition(thread, vocabulary, 2 * LANES)
    pack_panels(weights.U, weights.tied, start, stop, hidden, packed.packed_U)
    wait(thread)
    start, stop = partition(thread, count, 1)
    block = logits.shape[1]
    for first in range(start, stop, block):
        last = min(stop, first + block)
        z = logits[thread.number, : last - first]
        for i in range(last - first):
            copy(packed.b2, z[i])
        multiply_rows(Numbers(rows.h[first:last]), hidden, packed.packed_U, 0, vocabulary, z, True)  # z2 = h U + b2
        for r in range(first, last):
            score_row(z[r - first], rows.targets[r], r, scores, details)


@jit
def score_row(z, target, r, scores, details):
    """Writes log y^ of the target of row r, and with `details` all scores; z (|V|) is written over."""
    if details:
        describe(z, target, r, scores)
    own = _log_probability(z, target)
    scores.log_probability[r] = own
    scores.alternative_log_probability[r] += own


@jit
def _log_probability(z, target):
    """log y^_target; z (|V|) becomes exp(z - max z)."""
    shift = largest(z)
    own = z[target] - shift
    return np.float64(own) - math.log(np.float64(exp_sum(z, shift)))


@jit
def describe(z, target, r, scores):
    """Writes what the logits (|V|) of row r say beside log y^ of the target: its rank is 1 + how many are above its
    own; the entropy - sum y^ log y^ = log S - sum (z - m) e^(z - m) / S, with m = max z and S = sum e^(z - m); the
    alternative is the first token whose logit is m. Of the alternative's log y^ it writes m - z_target, which is what
    log y^ of the target falls short of it."""
    top = largest(z)
    shift = np.float64(top)
    above, total, weighted, alternative = 0, 0.0, 0.0, -1
    for j in range(z.size):
        above += z[j] > z[target]
        if z[j] == top and alternative < 0:
            alternative = j
        below = np.float64(z[j]) - shift
        exp_z = math.exp(below)
        total += exp_z
        weighted += below * exp_z
    scores.rank[r] = 1 + above
    scores.entropy[r] = math.log(total) - weighted / total
    scores.alternative[r] = alternative
    scores.alternative_log_probability[r] = top - z[target]
