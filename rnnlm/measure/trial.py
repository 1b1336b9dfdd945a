"""Trial training: a network trained for a moment on a configuration's text, to be measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnlm.config.schema import Config
from rnnlm.corpora import prepare
from rnnlm.corpora.prepare import Corpora
from rnnlm.kernels.parallel.thread_pool import threads_to_use
from rnnlm.network import build, stopwatch
from rnnlm.network.network import Window
from rnnlm.network.parameters import TABLE
from rnnlm.text.streams import equal_streams
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training import freezing, from_model, memory
from rnnlm.training.memory import Needs
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.update import TrainingWindow, update
from rnnlm.work import Task


@dataclass(frozen=True)
class Prepared:
    """The data of a trial, the memory and disk that training would need, and the model that it would start from."""

    config: Config
    vocabulary: Vocabulary
    corpora: Corpora
    needs: Needs
    model: from_model.Model | None


def prepared(config: Config) -> Task[Prepared]:
    """Count the vocabulary and encode the texts. Returns a Prepared.

    Raises:
        InputError: as training would; ResourceError: too little memory or disk, so there is nothing to measure.
    """
    paths = yield from prepare.texts(config)
    vocabulary = yield from prepare.build_vocabulary(config, paths.train)
    corpora = yield from prepare.encode(config, paths, vocabulary)
    config = build.settled(config, len(vocabulary))
    freezing.check(config, build.shapes(config, len(vocabulary)))
    model = from_model.read(config, vocabulary)
    needs = memory.needs(config, len(vocabulary), corpora.tokens, threads_to_use(config.train.threads))
    memory.check(config, needs)
    vocabulary.classes = yield from from_model.classes(config, corpora.train, vocabulary, model)
    return Prepared(config, vocabulary, corpora, needs, model)


class Trial:
    """Updates of a network of random weights, window after window, each from the initial state."""

    def __init__(self, found: Prepared) -> None:
        self.settings = found.config.train
        shape = build.shapes(found.config, len(found.vocabulary))[TABLE]
        table = np.random.default_rng(0).normal(0, 0.1, shape)
        parameters = build.init(found.config, len(found.vocabulary), table)
        self.network = build.build(found.config, parameters, words=found.vocabulary)
        self.optimizer = Optimizer(self.settings, self.network.named)
        self.streams = equal_streams(found.corpora.train, self.settings.batch, found.config.state)
        self._context = self.settings.bptt - self.settings.stride
        self._windows = max(1, (self.streams.length - self._context) // self.settings.stride)

    def window(self, number: int) -> TrainingWindow:
        """The window of update `number`, from 0."""
        start = number % self._windows * self.settings.stride
        part = self.streams.window(start, min(start + self._context + self.settings.stride, self.streams.length))
        states = self.network.initial_states(self.streams.batch)
        loss_steps = 1 if self.settings.loss == "last" else min(self.settings.stride, len(part.targets))
        return TrainingWindow(Window(part.inputs, part.reset, states), part.targets, loss_steps, (0, number))

    def update(self, window: TrainingWindow, watch: stopwatch.Stopwatch = stopwatch.OFF) -> None:
        """One update, so small that the network stays as it is."""
        update(self.network, self.optimizer, [window], 1, 1e-6, watch=watch)
