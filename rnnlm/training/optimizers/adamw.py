"""AdamW: Adam with decoupled weight decay (Loshchilov & Hutter 2019).

Adam without l in g, and beside it

w -= a l w
"""

from __future__ import annotations

from rnnlm.training.optimizers import adam

MOMENTS: tuple[str, ...] = adam.MOMENTS
DECOUPLED_DECAY = True
CONSTANTS = adam.CONSTANTS
step = adam.step
