"""One update of the network: forward, backward, clipping, the optimizer's rule.

Training, bench, plan, warm-up and the benchmarks all call `update`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import NotFiniteError
from rnnlm.network import stopwatch
from rnnlm.network.network import Network, Trace, Window
from rnnlm.network.parameters import Gradients
from rnnlm.training import freezing, noise
from rnnlm.training.accumulation import Accumulated
from rnnlm.training.averaging import Average
from rnnlm.training.clipping import clip
from rnnlm.training.distributed.gradient_sum import GradientSum
from rnnlm.training.optimizers.optimizer import Optimizer

# The part of an update that a stopwatch tells apart from those of ``network.network``.
RULE = "clipping and update"


class TrainingWindow(NamedTuple):
    """A window with what it is to predict."""

    window: Window
    targets: NDArray[np.int32]  # T x B
    loss_steps: int  # how many of its last steps have a loss
    mask: tuple[int, int]  # seed and number of its dropout masks


class Update(NamedTuple):
    """What an update came to."""

    loss: float  # sum of J over the losses of all its windows and streams, in nats
    norm: float  # of the gradient, after clipping by value


def update(
    network: Network,
    optimizer: Optimizer,
    windows: Iterable[TrainingWindow],
    count: int,
    learning_rate: float,
    average: Average | None = None,
    passed: Callable[[Trace, float], None] | None = None,
    ranks_sum: GradientSum | None = None,
    watch: stopwatch.Stopwatch = stopwatch.OFF,
) -> Update:
    """One update, with the mean gradient of `count` windows.

    Args:
        windows: taken one after the other, each when the one before has been passed.
        average: of the weights, kept up to date.
        passed: called after each window with its trace and its loss, while the trace lives.
        ranks_sum: adds the gradients of the other ranks, which have the other streams of the batch.

    Raises:
        NotFiniteError: the loss or the gradient is not finite; the weights are as they were.
    """
    settings, threads = network.config.train, network.threads
    accumulated, loss = Accumulated(count), 0.0
    gradients = Gradients()
    # The mean of several windows is complete only after the last one.
    complete = ranks_sum.begin if ranks_sum is not None and count == 1 else None
    for part in windows:
        trace = network.forward(part.window, part.mask, watch)
        own, gradients = network.backward(trace, part.targets, part.loss_steps, complete, watch)
        freezing.drop(settings, gradients)
        if count > 1:
            accumulated.add(gradients)
        loss += own
        if passed is not None:
            passed(trace, own)
    if count > 1:
        gradients = accumulated.mean()
    total = loss  # at all ranks
    if ranks_sum is not None:
        total = ranks_sum.finish(gradients, loss)
    norm, factor = clip(gradients, settings.clip_norm, settings.clip_value, threads)
    if not (math.isfinite(total) and math.isfinite(norm)):
        raise NotFiniteError(_not_finite(network, total, gradients))
    noise.add(settings, gradients, optimizer.updates, factor)
    optimizer.update(gradients, learning_rate, factor, threads)
    if average is not None:
        average.update(threads)
    watch.lap(RULE)
    return Update(loss, norm)


def _not_finite(network: Network, loss: float, gradients: Gradients) -> str:
    arrays = [*network.named.items()] + [(f"the gradient of {n}", a) for n, a in gradients.arrays()]
    culprits = [name for name, array in arrays if not np.isfinite(array).all()]
    has = "has" if len(culprits) == 1 else "have"
    return (
        f"not finite: the loss is {loss:g}; {', '.join(culprits[:3]) or 'no parameter'} {has} numbers that are not "
        "finite"
    )
