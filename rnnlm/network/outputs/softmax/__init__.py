"""The full softmax over the vocabulary.

    z2(t) = h(t) U + b2                   1 x |V|      U: D_h x |V|   b2: |V|
    y^(t) = softmax(z2(t))
    J(t)  = - log y^_x(t)                 x: the token that came (y(t) has its 1 there)

    delta2(t) = dJ(t)/dz2(t) = y^(t) - y(t)
    dJ/dU = sum_t h(t)' delta2(t)         dJ/db2 = sum_t delta2(t)         dJ/dh(t) = delta2(t) U'

The steps of all streams are rows here: h is N x D_h, one target a row. The N x |V| matrix of logits exists once at
most, and never as one pass over memory for each line above:

    columns   large vocabularies: each thread has its own part of the vocabulary, and with it of U and dU
    rows      small ones (characters): each thread has its own rows; the threads' dUs are added in their order
    logits    whole rows of logits, for sampling and for ranks and entropies

Tied weights (Press & Wolf 2017; Inan et al. 2017): U is the transposed embedding table E, |V| x d. Where d is not
D_h, a projection stands before it (Press & Wolf 2017):

    p(t) = h(t) P                         1 x d        P: D_h x d          z2(t) = p(t) E' + b2
    dJ/dP = sum_t h(t)' dJ/dp(t)          dJ/dh(t) = dJ/dp(t) P'           dJ/dp(t) = delta2(t) E

`parameters` are the layer's own by name, with the table as ``E`` where the weights are tied; `gradients` likewise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.kernels import cpu
from rnnlm.network.layers import projection
from rnnlm.network.outputs.softmax import columns, logits, rows, smoothing

if TYPE_CHECKING:
    from rnnlm.config.schema import Model
    from rnnlm.kernels.workspace import Workspace

# Vocabularies from here on are shared out by columns.
_COLUMNS_FROM = 512


def shapes(hidden: int, d: int, vocabulary: int, settings: Model) -> dict[str, tuple[int, ...]]:
    """Parameters by name; a tied U belongs to the embedding (|V| x d)."""
    if not settings.tie:
        return {"U": (hidden, vocabulary), "b2": (vocabulary,)}
    return ({} if d == hidden else {"P": (hidden, d)}) | {"b2": (vocabulary,)}


def init(
    hidden: int, d: int, vocabulary: int, settings: Model, dtype: np.dtype, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """U or P uniform in +-1/sqrt(D_h), b2 = 0."""
    result = {"b2": np.zeros(vocabulary, dtype)}
    bound = 1 / np.sqrt(hidden)
    for name, shape in shapes(hidden, d, vocabulary, settings).items():
        if name != "b2":
            result[name] = np.empty(shape, dtype)
            for row in result[name]:  # no second U, in float64, beside it
                row[:] = generator.uniform(-bound, bound, row.size)
    return result


def forward(parameters, h, targets, workspace: Workspace, threads, details=False):
    """log y^_x(t) of each row's target, in nats.

    Args:
        h: N x D_h; targets: N int32.
        details: also each prediction's rank of the target and entropy.

    Returns:
        log_probability (N float64), rank (N int64: 1 + the tokens that are more probable), entropy (N float64, nats);
        the last two are zeros without `details`.
    """
    count = h.shape[0]
    h, (U, b2, tied) = _projected(parameters, h, workspace, threads), _operands(parameters)
    log_probability, rank, entropy = np.zeros(count), np.zeros(count, np.int64), np.zeros(count)
    if details or b2.size < _COLUMNS_FROM:
        logits.forward(h, U, b2, tied, targets, log_probability, rank, entropy, details, workspace, threads)
    else:
        columns.forward(h, U, b2, tied, targets, log_probability, workspace, threads)
    return log_probability, rank, entropy


def loss(parameters, h, targets, label_smoothing, workspace: Workspace, threads) -> float:
    """What `backward` gives the gradient of, without `scale`: the sum of J over the rows, with label smoothing."""
    log_probability, _, _ = forward(parameters, h, targets, workspace, threads)
    if label_smoothing == 0:
        return -float(log_probability.sum())
    h, (U, b2, tied) = _projected(parameters, h, workspace, threads), _operands(parameters)
    return smoothing.value(h, U, b2, tied, targets, log_probability, label_smoothing)


def backward(parameters, gradients, h, targets, scale, label_smoothing, dh, workspace: Workspace, threads):
    """Loss and gradients of ``scale * sum of J`` over the rows, in one pass.

    Args:
        gradients: of the parameters, by name; these and dh are written, not added to.
        scale: what each row's loss counts for (1 / B: J summed over time, averaged over the streams).
        label_smoothing: the share of the target that is spread evenly (``smoothing``), in the gradients only.

    Returns:
        The sum of J over the rows in nats, not scaled, summed in float64.
    """
    p = _projected(parameters, h, workspace, threads)
    dp = dh if p is h else workspace.take("dp", p.shape)
    U, b2, tied = _operands(parameters)
    dU, db2, _ = _operands(gradients)
    way = rows if b2.size < _COLUMNS_FROM else columns
    loss = way.backward(p, U, b2, tied, targets, h.dtype.type(scale), dU, db2, dp, workspace, threads)
    if label_smoothing > 0:
        smoothing.backward(p, U, b2, tied, targets, scale, label_smoothing, dU, db2, dp)
    if p is not h:
        projection.backward(h, parameters["P"], dp, gradients["P"], dh, workspace.part("P"), threads)
    return loss


def distribution(parameters, h, workspace: Workspace, threads):
    """log y^(t), N x |V|, for sampling: a fresh array in float64."""
    U, b2, tied = _operands(parameters)
    return logits.distribution(_projected(parameters, h, workspace, threads), U, b2, tied, workspace)


class Ready(NamedTuple):
    """Weights that do not change any more, packed."""

    packed_U: np.ndarray
    b2: np.ndarray
    P: projection.Ready | None


def ready(parameters, workspace: Workspace) -> Ready:
    """What `step` reads."""
    U, b2, tied = _operands(parameters)
    packed_P = projection.ready(parameters["P"], None, workspace.part("P")) if "P" in parameters else None
    return Ready(logits.ready(U, tied, workspace), b2, packed_P)


def step(packed: Ready, h, z, threads):
    """z2 of the next token, B x |V|, written to z."""
    if packed.P is not None:
        h = projection.step(packed.P, h, threads)
    logits.step(packed.packed_U, packed.b2, h, z, threads)


def log_softmax(z):
    """log y^ of rows of z2, in float64."""
    return logits.log_softmax(z)


def draw(z, temperature, without, uniforms, threads):
    """A token of each row of z2; see ``logits.draw``."""
    return logits.draw(z, temperature, without, uniforms, threads)


def multiplications(hidden: int, d: int, vocabulary: int, settings: Model) -> int:
    """Of a token's forward pass."""
    if not settings.tie or d == hidden:
        return hidden * vocabulary
    return hidden * d + d * vocabulary


def held_bytes(rows: int, hidden: int, d: int, vocabulary: int, settings: Model, itemsize: int, threads: int) -> int:
    """About what training holds of p, of logits and of the threads' own dUs, for `rows` rows a window."""
    projected = 2 * rows * d * itemsize if settings.tie and d != hidden else 0
    if vocabulary < _COLUMNS_FROM:
        return projected + max(1, threads - 1) * vocabulary * (d if settings.tie else hidden) * itemsize
    return projected + min(rows * vocabulary * itemsize, cpu.SOFTMAX_BYTES)


def _projected(parameters, h, workspace: Workspace, threads):
    """What U multiplies: h, or p where there is a P."""
    if "P" not in parameters:
        return h
    return projection.forward(h, parameters["P"], None, workspace.part("P"), threads)


def _operands(parameters):
    """U, b2 and whether U is tied, and so given as its transpose."""
    tied = "E" in parameters
    return parameters["E" if tied else "U"], parameters["b2"], tied
