"""What a training run would take, measured on this machine; trains nothing."""

from __future__ import annotations

import math
import time

import numpy as np

from rnnlm import memory, model, prepare
from rnnlm.config import Config
from rnnlm.kernels.team import threads_to_use
from rnnlm.model import Network
from rnnlm.optim import Optimizer
from rnnlm.records import Plan, Progress, Work
from rnnlm.text.corpus import equal_streams

_SECONDS = 3.0  # of measuring


def plan(config: Config) -> Work[Plan]:
    """Count the vocabulary, encode the texts, time some updates of a network that is thrown away. Returns a Plan.

    Raises:
        InputError: as training would; ResourceError: too little memory or disk, so there is nothing to measure.
    """
    paths = yield from prepare.texts(config)
    vocabulary = yield from prepare.build_vocabulary(config, paths.train)
    corpora = yield from prepare.encode(config, paths, vocabulary)
    need = memory.needs(config, len(vocabulary), corpora.tokens, threads_to_use(config.train.threads))
    memory.check(config, need)
    shapes = model.shapes(config, len(vocabulary))
    table = np.random.default_rng(0).normal(0, 0.1, shapes[model.TABLE])
    network = Network(config, model.init(config, len(vocabulary), table))
    optimizer = Optimizer(config.train, network.parameters)
    stride = config.train.stride
    streams = equal_streams(corpora.train, config.train.batch, config.train.state)
    context = config.train.bptt - stride
    windows = max(1, (streams.length - context) // stride)

    def update(number: int) -> None:
        start = number % windows * stride
        window = streams.window(start, min(start + context + stride, streams.length))
        network.forward(window.inputs, window.reset, network.zero_state(streams.batch), mask=(0, number))
        _, gradients = network.backward(
            window.targets, 1 if config.train.loss == "last" else min(stride, len(window.targets))
        )
        _, factor = optimizer.clip(gradients, network.workers)
        optimizer.update(gradients, 1e-6, factor, network.workers)

    yield Progress("compiling the kernels", 0, 1, "steps")
    update(0)
    yield Progress("compiling the kernels", 1, 1, "steps")
    began, number = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < _SECONDS or number == 0:
        number += 1
        update(number)
        yield Progress("measuring", min(elapsed, _SECONDS), _SECONDS, "seconds")
    seconds_per_update = elapsed / number
    steps_per_epoch = math.ceil(streams.length / stride)
    total = config.train.epochs * steps_per_epoch
    if config.train.max_steps is not None:
        total = min(total, config.train.max_steps)
    return Plan(
        tensors=tuple((name, shape, math.prod(shape)) for name, shape in shapes.items()),
        parameters=need.parameters,
        vocabulary=len(vocabulary),
        train_tokens=len(corpora.train),
        unknown=corpora.train.counts.unknown,
        memory_bytes=need.training_bytes,
        available_bytes=memory.available_memory(),
        disk_bytes=need.disk_bytes,
        threads=network.workers,
        tokens_per_second=stride * streams.batch / seconds_per_update,
        epochs=config.train.epochs,
        total_steps=total,
        seconds_per_epoch=steps_per_epoch * seconds_per_update,
        seconds=total * seconds_per_update,
    )
