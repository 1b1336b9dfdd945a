"""The learning rate over time.

With a the rate at its highest, s the updates made so far, S all updates, W those of the warm-up:

    constant   a
    halve      a decay^k                       k: how often validation has stopped improving
    linear     a (r + (1 - r) (1 - x))         x = (s - W) / (S - W),  r = final_rate
    cosine     a (r + (1 - r) (1 + cos pi x) / 2)                           (Loshchilov & Hutter 2017, without
    restarts)

and during the warm-up that times (s + 1) / W (Goyal et al. 2017).
"""

from __future__ import annotations

import math

from rnnlm.config import Train


def learning_rate(settings: Train, step: int, total: int, halvings: int) -> float:
    """The rate of the update that follows `step` updates of `total`; `halvings`: k above."""
    s = settings
    x = min(1.0, max(0.0, (step - s.warmup) / max(1, total - s.warmup)))
    if s.schedule == "linear":
        share = s.final_rate + (1 - s.final_rate) * (1 - x)
    elif s.schedule == "cosine":
        share = s.final_rate + (1 - s.final_rate) * (1 + math.cos(math.pi * x)) / 2
    elif s.schedule == "halve":
        share = s.decay**halvings
    else:
        share = 1.0
    warm = min(1.0, (step + 1) / s.warmup) if s.warmup else 1.0
    return s.learning_rate * share * warm
