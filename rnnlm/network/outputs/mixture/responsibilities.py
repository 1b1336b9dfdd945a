"""Responsibilities: how much each softmax of a mixture contributed to y^_x.

The probability that a mixture of K softmaxes gives to a token is y^_x = sum_k pi_k q_k,x, and the
responsibility of each of them for it r_k = pi_k q_k,x / y^_x. In logarithms, so that nothing is too small,
and in float64: a few numbers a row.
"""

from __future__ import annotations

import math

import numpy as np

from rnnlm.kernels.jit import jit


@jit
def log_sum(x):
    """log sum_k e^x_k of a few numbers (K float64)."""
    top = x[0]
    for k in range(1, x.size):
        top = max(top, x[k])
    total = 0.0
    for k in range(x.size):
        total += math.exp(x[k] - top)
    return top + math.log(total)


@jit
def _joint(log_pi, log_q, r, joint):
    """Writes log pi_k q_k,x of row r (K). log_pi: N x K; log_q: N K, the K of a row side by side."""
    for k in range(joint.size):
        joint[k] = log_pi[r, k] + log_q[r * joint.size + k]


@jit
def forward(log_pi, log_q, log_y):
    """Writes log y^_x of each row (N), from log pi (N x K) and log q_k,x (N K)."""
    joint = np.empty(log_pi.shape[1])
    for r in range(log_pi.shape[0]):
        _joint(log_pi, log_q, r, joint)
        log_y[r] = log_sum(joint)


@jit
def backward(log_pi, log_q, scale, weights, d_prior):
    """Writes what each softmax's own loss counts for, scale r_k (N K), and dJ/d(h W) = scale (pi - r) (N x K).
    Returns the sum of J = - log y^_x over the rows, not scaled."""
    joint = np.empty(log_pi.shape[1])
    loss = 0.0
    for r in range(log_pi.shape[0]):
        _joint(log_pi, log_q, r, joint)
        log_y = log_sum(joint)
        loss -= log_y
        for k in range(joint.size):
            own = math.exp(joint[k] - log_y)
            weights[r * joint.size + k] = scale * own
            d_prior[r, k] = scale * (math.exp(log_pi[r, k]) - own)
    return loss
