"""A mixture of K softmaxes over the vocabulary (Yang, Dai, Salakhutdinov & Cohen 2018).

    pi(t)  = softmax(h(t) W)                   1 x K      W: D_h x K          how much each softmax counts
    u_k(t) = h(t) P_k + c_k                    1 x m      P_k: D_h x m
    g_k(t) = tanh(u_k(t))                                                     what the k-th of them reads
    q_k(t) = softmax(g_k(t) U + b2)            1 x |V|    U: m x |V|   b2: |V|, the same for all of them
    y^(t)  = sum_k pi_k(t) q_k(t)
    J(t)   = - log y^_x(t)                                x: the token that came (y(t) has its 1 there)

P = [P_1 ... P_K] is D_h x K m, c has K m numbers. m is D_h, or, where the weights are tied and U = E' is the
transposed embedding table, d. The logarithms of y^ of many contexts, a matrix with a row each, have rank m with one
softmax, however large the vocabulary; the logarithm of a sum is not bound to that.

Backward, with r_k(t) = pi_k q_k,x / y^_x, the share that the k-th softmax has in the probability of what came:

    dJ/dz_k(t) = r_k (q_k - y)                 z_k = g_k U + b2
    dJ/dU = sum_t,k g_k' dJ/dz_k               dJ/db2 = sum_t,k dJ/dz_k
    dJ/du_k(t) = (dJ/dz_k U') o (1 - g_k o g_k)
    dJ/dP_k = sum_t h' dJ/du_k                 dJ/dc_k = sum_t dJ/du_k
    dJ/d(h W) = pi - r                         dJ/dW = sum_t h' (pi - r)
    dJ/dh(t) = sum_k dJ/du_k P_k' + (pi - r) W'

So, r given, these are K plain softmaxes of which each row counts r_k times: the rows g_k(t), N K x m, go through the
plain softmax's kernels (``softmax.columns``, for any size of vocabulary), which ask for r as soon as all q_k,x of a
block of rows are known. The logits, N K x |V|, are never there as a whole where that would be large. In bfloat16 all
products are rounded as the plain softmax's are; pi and r are computed in float64.

`parameters` are the layer's own by name, with the table as ``E`` where the weights are tied; `gradients` likewise.

    heads     pi and g_k
    shares    y^_x and r_k, from all q_k,x
    rows      whole rows of log y^, for sampling and for ranks and entropies
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rnnlm.kernels import cpu
from rnnlm.network.layers import projection
from rnnlm.network.outputs.mixture import heads, rows
from rnnlm.network.outputs.mixture import responsibilities as shares
from rnnlm.network.outputs.softmax import columns, logits

if TYPE_CHECKING:
    from rnnlm.config.schema import Model
    from rnnlm.kernels.workspace import Workspace


def shapes(hidden: int, d: int, vocabulary: int, settings: Model) -> dict[str, tuple[int, ...]]:
    """Parameters by name; a tied U belongs to the embedding (|V| x d)."""
    count, m = settings.mixture, _width(hidden, d, settings)
    own: dict[str, tuple[int, ...]] = {"W": (hidden, count), "P": (hidden, count * m), "c": (count * m,)}
    return own | ({} if settings.tie else {"U": (m, vocabulary)}) | {"b2": (vocabulary,)}


def init(
    hidden: int, d: int, vocabulary: int, settings: Model, dtype: np.dtype, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """W, P and U uniform in +-1/sqrt(D_h); biases 0."""
    result = {}
    bound = 1 / np.sqrt(hidden)
    for name, shape in shapes(hidden, d, vocabulary, settings).items():
        result[name] = np.zeros(shape, dtype)
        if len(shape) == 2:
            for row in result[name]:  # no second U, in float64, beside it
                row[:] = generator.uniform(-bound, bound, row.size)
    return result


def forward(parameters, h, targets, workspace: Workspace, threads, details=False):
    """log y^_x(t) of each row's target, and with `details` its rank and the entropy; see
    ``outputs.softmax.forward``."""
    count = h.shape[0]
    log_probability, rank, entropy = np.zeros(count), np.zeros(count, np.int64), np.zeros(count)
    log_pi, g = heads.forward(parameters, h, workspace, threads)
    U, b2, tied = _operands(parameters)
    if details:
        rows.forward(log_pi, g, U, b2, tied, targets, log_probability, rank, entropy, workspace, threads)
    else:
        each, log_q = np.repeat(targets, log_pi.shape[1]), np.zeros(log_pi.size)
        columns.forward(g, U, b2, tied, each, log_q, workspace, threads)
        shares.forward(log_pi, log_q, log_probability)
    return log_probability, rank, entropy


def loss(parameters, h, targets, label_smoothing, workspace: Workspace, threads) -> float:
    """The sum of J over the rows. There is no label smoothing here: the configuration refuses it."""
    return -float(forward(parameters, h, targets, workspace, threads)[0].sum())


def backward(parameters, gradients, h, targets, scale, label_smoothing, dh, workspace: Workspace, threads):
    """Loss and gradients of ``scale * sum of J`` over the rows; see ``outputs.softmax.backward``."""
    log_pi, g = heads.forward(parameters, h, workspace, threads)
    (U, b2, tied), (dU, db2, _) = _operands(parameters), _operands(gradients)
    count = log_pi.shape[1]
    d_prior, dg = workspace.take("d_prior", log_pi.shape), workspace.take("dg", g.shape)
    losses = []

    def weigh(part: slice, log_q: np.ndarray, weights: np.ndarray) -> None:
        own = slice(part.start // count, part.stop // count)
        losses.append(shares.backward(log_pi[own], log_q, scale, weights, d_prior[own]))

    each = np.repeat(targets, count)
    columns.backward(g, U, b2, tied, each, scale, dU, db2, dg, workspace, threads, weigh, count)
    heads.backward(parameters, gradients, h, g, dg, d_prior, dh, workspace, threads)
    return sum(losses)


def distribution(parameters, h, workspace: Workspace, threads):
    """log y^(t), N x |V|, for sampling: a fresh array in float64."""
    z = workspace.take("log_y", (len(h), len(parameters["b2"])))
    step(ready(parameters, workspace), h, z, threads)
    return log_softmax(z)


def ready(parameters, workspace: Workspace) -> rows.Ready:
    """What `step` reads, from weights that do not change any more."""
    U, b2, tied = _operands(parameters)
    packed_W = projection.ready(parameters["W"], None, workspace.part("W"))
    packed_P = projection.ready(parameters["P"], parameters["c"], workspace.part("P"))
    return rows.Ready(logits.ready(U, tied, workspace), b2, packed_W, packed_P, workspace)


def step(packed: rows.Ready, h, z, threads):
    """log y^ of the next token, B x |V|, written to z: logits like those of a plain softmax."""
    rows.step(packed, h, z, threads)


def log_softmax(z):
    """log y^ of rows of log y^, or of what was made of them, in float64."""
    return logits.log_softmax(z)


def draw(z, temperature, without, uniforms, threads):
    """A token of each row of log y^; see ``softmax.logits.draw``."""
    return logits.draw(z, temperature, without, uniforms, threads)


def multiplications(hidden: int, d: int, vocabulary: int, settings: Model) -> int:
    """Of a token's forward pass."""
    count, m = settings.mixture, _width(hidden, d, settings)
    return hidden * count * (m + 1) + count * m * vocabulary


def held_bytes(rows: int, hidden: int, d: int, vocabulary: int, settings: Model, itemsize: int, threads: int) -> int:
    """About what training holds of g, dJ/dg and what products read of them, and of logits, for `rows` rows a
    window."""
    all_rows, m = rows * settings.mixture, _width(hidden, d, settings)
    return 3 * all_rows * m * itemsize + min(all_rows * vocabulary * itemsize, cpu.SOFTMAX_BYTES)


def _width(hidden: int, d: int, settings: Model) -> int:
    """m."""
    return d if settings.tie else hidden


def _operands(parameters):
    """U, b2 and whether U is tied, and so given as its transpose."""
    tied = "E" in parameters
    return parameters["E" if tied else "U"], parameters["b2"], tied
