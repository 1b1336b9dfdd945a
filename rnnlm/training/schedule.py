"""The learning rate over time.

With a the rate at its highest, s the updates made so far, S all updates, W those of the warm-up:

    constant   a
    halve      a decay^k                       k: how often validation has stopped improving
    linear     a (r + (1 - r) (1 - x))         x = (s - W) / (S - W),  r = final_rate
    cosine     a (r + (1 - r) (1 + cos pi x') / 2)                          (Loshchilov & Hutter 2017)
                                               x' = c x - floor(c x), c = cycles (1 at the very end)
    one_cycle  a (x / 0.3) for x < 0.3, from a / 25 on, then as cosine from there      (Smith & Topin 2018)

and during the warm-up that times (s + 1) / W (Goyal et al. 2017).
"""

from __future__ import annotations

import math

from rnnlm.config.schema import Train

# The share of one cycle in which the rate rises.
_RISE = 0.3


def learning_rate(settings: Train, step: int, total: int, halvings: int) -> float:
    """The rate of the update that follows `step` updates of `total`; `halvings`: k above."""
    s = settings
    x = min(1.0, max(0.0, (step - s.warmup) / max(1, total - s.warmup)))
    if s.schedule == "linear":
        share = s.final_rate + (1 - s.final_rate) * (1 - x)
    elif s.schedule == "cosine":
        share = _cosine(s.final_rate, s.cycles * x - math.floor(s.cycles * x) if x < 1 else 1.0)
    elif s.schedule == "one_cycle":
        share = max(1 / 25, x / _RISE) if x < _RISE else _cosine(s.final_rate, (x - _RISE) / (1 - _RISE))
    elif s.schedule == "halve":
        share = s.decay**halvings
    else:
        share = 1.0
    warm = min(1.0, (step + 1) / s.warmup) if s.warmup else 1.0
    return s.learning_rate * share * warm


def _cosine(final: float, x: float) -> float:
    return final + (1 - final) * (1 + math.cos(math.pi * x)) / 2
