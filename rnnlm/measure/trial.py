"""A network that is trained for a moment on a configuration's own text, to be measured, and thrown away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnlm.config.schema import Config
from rnnlm.corpora import prepare
from rnnlm.corpora.prepare import Corpora
from rnnlm.kernels.parallel.thread_pool import threads_to_use
from rnnlm.network import network as model
from rnnlm.network.network import Network
from rnnlm.text.streams import Window, equal_streams
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training import memory
from rnnlm.training.memory import Needs
from rnnlm.training.optimizers.rules import Gradients, Optimizer
from rnnlm.work import Task


@dataclass(frozen=True)
class Prepared:
    """What training would start with."""

    config: Config
    vocabulary: Vocabulary
    corpora: Corpora
    needs: Needs


def prepared(config: Config) -> Task[Prepared]:
    """Count the vocabulary and encode the texts. Returns a Prepared.

    Raises:
        InputError: as training would; ResourceError: too little memory or disk, so there is nothing to measure.
    """
    paths = yield from prepare.texts(config)
    vocabulary = yield from prepare.build_vocabulary(config, paths.train)
    corpora = yield from prepare.encode(config, paths, vocabulary)
    needs = memory.needs(config, len(vocabulary), corpora.tokens, threads_to_use(config.train.threads))
    memory.check(config, needs)
    return Prepared(config, vocabulary, corpora, needs)


class Trial:
    """Updates of a network of random weights, window after window, each from a state of 0."""

    def __init__(self, found: Prepared) -> None:
        self.settings = found.config.train
        shape = model.shapes(found.config, len(found.vocabulary))[model.TABLE]
        table = np.random.default_rng(0).normal(0, 0.1, shape)
        self.network = Network(found.config, model.init(found.config, len(found.vocabulary), table))
        self.optimizer = Optimizer(self.settings, self.network.parameters)
        self.streams = equal_streams(found.corpora.train, self.settings.batch, self.settings.state)
        self._context = self.settings.bptt - self.settings.stride
        self._windows = max(1, (self.streams.length - self._context) // self.settings.stride)

    def window(self, number: int) -> Window:
        start = number % self._windows * self.settings.stride
        return self.streams.window(start, min(start + self._context + self.settings.stride, self.streams.length))

    def loss_steps(self, window: Window) -> int:
        return 1 if self.settings.loss == "last" else min(self.settings.stride, len(window.targets))

    def backward(self, number: int, window: Window) -> Gradients:
        """Forward and backward of one window."""
        network = self.network
        network.forward(window.inputs, window.reset, network.zero_state(self.streams.batch), mask=(0, number))
        return network.backward(window.targets, self.loss_steps(window))[1]

    def step(self, gradients: Gradients) -> None:
        """Clip, and one update, so small that the network stays as it is."""
        workers = self.network.workers
        _, factor = self.optimizer.clip(gradients, workers)
        self.optimizer.update(gradients, 1e-6, factor, workers)
