"""Window boundaries of training.

As a rule every ``bptt_stride`` steps. With ``train.bptt_deviation`` s > 0 the lengths are random, so that the tokens
whose gradient is cut short are others in every pass (Merity, Keskar & Socher 2018, section 5):

    length = max(5, N(b, s))        b = bptt, in one window of 20 bptt / 2

There the learning rate is multiplied by length / bptt; here the gradient is a sum over the steps, so it grows with
the length by itself.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.training import Train
from rnnlm.errors import ConfigError

_SHORT, _SHORTEST = 0.05, 5


def ends(settings: Train, length: int, epoch: int) -> NDArray[np.int64]:
    """Window boundaries of one pass: the steps before which its windows end, rising, the last one `length`. They
    depend on the arguments alone."""
    if settings.bptt_deviation == 0:
        inner = np.arange(settings.stride, length, settings.stride)
    else:
        shortest = min(_SHORTEST, settings.bptt)
        generator = np.random.default_rng([settings.seed, 3, epoch])
        most = -(-length // shortest)
        middle = np.where(generator.random(most) < _SHORT, settings.bptt / 2, settings.bptt)
        lengths = generator.normal(middle, settings.bptt_deviation).astype(np.int64)
        inner = np.cumsum(np.maximum(shortest, lengths))
        inner = inner[inner < length]
    return np.append(inner, length)


def updates_of_epoch(settings: Train, length: int, epoch: int) -> int:
    """Updates of one pass: one for ``train.accumulate`` windows, and one for what is left."""
    return -(-len(ends(settings, length, epoch)) // settings.accumulate)


def total_updates(settings: Train, length: int) -> int:
    """Updates of all passes, at most ``train.max_updates``."""
    most = math.inf if settings.max_updates is None else settings.max_updates
    if settings.bptt_deviation == 0:
        total = settings.epochs * updates_of_epoch(settings, length, 0)
    else:
        total = 0
        for epoch in range(settings.epochs):
            if total >= most:  # there may be very many epochs, of which max_updates lets few begin
                break
            total += updates_of_epoch(settings, length, epoch)
    return total if settings.max_updates is None else min(total, settings.max_updates)


def total_validations(settings: Train, length: int) -> int:
    """Validations of all updates: at epochs' ends, where training ends, and every
    ``train.validate.every_updates``."""
    total, every = total_updates(settings, length), settings.validate.every_updates
    stops, done = {total}, 0
    for epoch in range(settings.epochs):
        done += updates_of_epoch(settings, length, epoch if settings.bptt_deviation else 0)
        if done >= total:
            break
        stops.add(done)
    return len(stops | (set(range(every, total + 1, every)) if every else set()))


def check_warmup(settings: Train, length: int) -> None:
    """Refuse a warm-up that the run ends before, so that the learning rate would never be reached.

    Args:
        length: tokens of a stream.

    Raises:
        ConfigError: names both numbers.
    """
    warmup, total = settings.schedule.warmup_updates, total_updates(settings, length)
    if warmup >= total:
        raise ConfigError(
            f"train.schedule.warmup_updates: found {warmup:,}, and the whole run has {total:,} updates; take fewer, "
            "or more train.epochs or train.max_updates"
        )
