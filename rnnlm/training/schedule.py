"""The schedule of the learning rate.

With a = ``train.learning_rate``, s the updates made so far, S all updates, W those of the warm-up:

    constant   a
    plateau    a factor^k                      k: how often validation has stopped improving
    linear     a (r + (1 - r) (1 - x))         x = (s - W) / (S - W),  r = final_rate
    cosine     a (r + (1 - r) (1 + cos pi x') / 2)                          (Loshchilov & Hutter 2017)
                                               x' = c x - floor(c x), c = cycles (1 at the very end)
    one_cycle  a (x / 0.3) for x < 0.3, from a / 25 on, then as cosine from there      (Smith & Topin 2018)

and during the warm-up that times (s + 1) / W (Goyal et al. 2017).
"""

from __future__ import annotations

import math

from rnnlm.config.training import Cosine, Linear, OneCycle, Plateau, Train

# The share of one cycle in which the rate rises.
_RISE = 0.3


def learning_rate(settings: Train, updates: int, total: int, reductions: int) -> float:
    """The rate of the update that follows `updates` updates of `total`; `reductions`: k above."""
    own = settings.schedule
    warmup = own.warmup_updates
    x = min(1.0, max(0.0, (updates - warmup) / max(1, total - warmup)))
    if isinstance(own, Linear):
        share = own.final_rate + (1 - own.final_rate) * (1 - x)
    elif isinstance(own, Cosine):
        share = _cosine(own.final_rate, own.cycles * x - math.floor(own.cycles * x) if x < 1 else 1.0)
    elif isinstance(own, OneCycle):
        share = max(1 / 25, x / _RISE) if x < _RISE else _cosine(own.final_rate, (x - _RISE) / (1 - _RISE))
    elif isinstance(own, Plateau):
        share = own.factor**reductions
    else:
        share = 1.0
    warm = min(1.0, (updates + 1) / warmup) if warmup else 1.0
    return settings.learning_rate * share * warm


def _cosine(final: float, x: float) -> float:
    return final + (1 - final) * (1 + math.cos(math.pi * x)) / 2
