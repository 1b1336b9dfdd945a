"""How fast this machine is, and how fast a configuration runs on it, layer by layer.

GFLOP/s count the multiplications and additions of the matrix products that must be done: for a token's loss 6 D_h |V|
in the output layer (forward, and twice that backward) and 6 D_h^2 in each recurrence; for what goes into a layer 6 d
D_h, in the first layer once for each different token of a window (``embedding.Distinct``)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np

from rnnlm import memory, model, prepare
from rnnlm.config import Config
from rnnlm.kernels.blas import gemm
from rnnlm.kernels.team import parallel
from rnnlm.model import Network
from rnnlm.optim import Optimizer
from rnnlm.prepare import Corpora
from rnnlm.records import Bench, Layer, Progress, Work
from rnnlm.scoring import score
from rnnlm.text.corpus import equal_streams
from rnnlm.text.vocabulary import Vocabulary

# The size of the machine's own products: large enough that what goes on beside them is lost in it.
_LARGE = 1024
_STREAMS = 64


def bench(config: Config, seconds: float = 3.0) -> Work[Bench]:
    """Measure, `seconds` for each figure; the network is thrown away. Returns a Bench.

    Raises:
        InputError: as training would; ResourceError: too little memory.
    """
    paths = yield from prepare.texts(config)
    vocabulary = yield from prepare.build_vocabulary(config, paths.train)
    corpora = yield from prepare.encode(config, paths, vocabulary)
    shapes = model.shapes(config, len(vocabulary))
    table = np.random.default_rng(0).normal(0, 0.1, shapes[model.TABLE])
    network = Network(config, model.init(config, len(vocabulary), table))
    memory.check(config, memory.needs(config, len(vocabulary), corpora.tokens, network.workers))

    machine = yield from _machine(network, seconds)
    training = _Training(config, network, corpora)
    began = time.perf_counter()
    yield Progress("compiling the kernels", 0, 1, "steps")
    training.update()
    first = time.perf_counter() - began
    yield Progress("compiling the kernels", 1, 1, "steps")
    speed = yield from _rate("training", training.update, seconds)
    layers, products = training.layers(), training.products
    evaluation = yield from _rate("evaluation", _scorer(config, network, corpora), seconds)
    one = yield from _rate("sampling", _sampler(network, vocabulary, 1), seconds)
    many = yield from _rate("sampling of 64", _sampler(network, vocabulary, _STREAMS), seconds)
    return Bench(
        threads=network.workers,
        precision=config.train.precision if network.bfloat16 or config.train.precision != "bfloat16" else "float32",
        machine_gflops=machine,
        vocabulary=len(vocabulary),
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        first_update_seconds=first,
        training_tokens_per_second=speed,
        training_gflops=speed * products / 1e9,
        evaluation_tokens_per_second=evaluation,
        sampling_tokens_per_second=one,
        sampling_64_tokens_per_second=many,
        layers=tuple(layers),
        peak_bytes=memory.peak(),
    )


def _rate(task: str, step: Callable[[], int], seconds: float) -> Work[float]:
    """Run `step`, which returns how many tokens it did, again and again; returns tokens a second, the median over
    fifths of the time."""
    step()
    rates: list[float] = []
    began = time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds or not rates:
        yield Progress(task, min(elapsed, seconds), seconds, "seconds")
        tokens, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds / 5 or tokens == 0:
            tokens += step()
        rates.append(tokens / (time.perf_counter() - start))
    yield Progress(task, seconds, seconds, "seconds")
    return median(rates)


@parallel
def _multiply(worker, workers, a, b, c):
    gemm(a, b, c[worker], False, False, False)


def _machine(network: Network, seconds: float) -> Work[float]:
    """GFLOP/s of large products of the BLAS, on all threads at once, in the network's own type."""
    a, b = (np.random.default_rng(0).normal(size=(_LARGE, _LARGE)).astype(network.dtype) for _ in range(2))
    c = np.empty((network.workers, _LARGE, _LARGE), network.dtype)

    def step() -> int:
        _multiply(network.workers, a, b, c)
        return network.workers * 2 * _LARGE**3

    rate = yield from _rate("matrix products", step, seconds)
    return rate / 1e9


class _Clock:
    """A layer with a watch: what its functions take, by name."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self.seconds: dict[str, float] = {}

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._layer, name)

        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            result = function(*arguments)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
            return result

        return timed


class _Training:
    """Updates on the configuration's own training text, with a watch on every layer."""

    def __init__(self, config: Config, network: Network, corpora: Corpora) -> None:
        self.config, self.network = config, network
        self.optimizer = Optimizer(config.train, network.parameters)
        self.streams = equal_streams(corpora.train, config.train.batch, config.train.state)
        self.steps = min(config.train.stride, self.streams.length)
        self.windows = max(1, self.streams.length // self.steps)
        self.states = network.zero_state(self.streams.batch)
        self.cell, self.output = network.watch(_Clock)
        self.number, self.distinct = 0, 0
        self.seconds = self.optimizer_seconds = 0.0

    def update(self) -> int:
        network = self.network
        began = time.perf_counter()
        start = self.number % self.windows * self.steps
        window = self.streams.window(start, start + self.steps)
        loss_steps = 1 if self.config.train.loss == "last" else len(window.targets)
        network.forward(window.inputs, window.reset, self.states, mask=(0, self.number))
        _, gradients = network.backward(window.targets, loss_steps)
        clipping = time.perf_counter()
        _, factor = self.optimizer.clip(gradients, network.workers)
        self.optimizer.update(gradients, 1e-6, factor, network.workers)
        self.states = network.states_after(len(window.inputs), self.states)
        ended = time.perf_counter()
        if self.number == 0:  # compiling, not training
            self.cell.seconds.clear()
            self.output.seconds.clear()
        else:
            self.seconds += ended - began
            self.optimizer_seconds += ended - clipping
        self.number += 1
        self.distinct += np.unique(window.inputs).size
        return int(window.inputs.size)

    @property
    def products(self) -> float:
        """Operations a token in products that must be done."""
        return self._output_products() + self._cell_products()

    def _output_products(self) -> float:
        steps = 1 if self.config.train.loss == "last" else self.steps
        return 6.0 * self.config.model.hidden * self.network.vocabulary_size * steps / self.steps

    def _cell_products(self) -> float:
        settings, d, h = self.config.model, self.config.embedding.size, self.config.model.hidden
        distinct = self.distinct / (self.number * self.steps * self.streams.batch) if settings.dropout == 0 else 1.0
        return 6.0 * (settings.layers * h * h + (settings.layers - 1) * h * h + d * h * distinct)

    def layers(self) -> list[Layer]:
        """What each part takes of an update."""
        updates = self.number - 1
        tokens = updates * self.steps * self.streams.batch
        cell, output = (sum(clock.seconds.values()) for clock in (self.cell, self.output))
        rest = self.seconds - cell - output - self.optimizer_seconds
        return [
            Layer("recurrent layers", cell / self.seconds, self._cell_products() * tokens / cell / 1e9),
            Layer("output layer", output / self.seconds, self._output_products() * tokens / output / 1e9),
            Layer("clipping and update", self.optimizer_seconds / self.seconds, None),
            Layer("embedding, dropout, windows", rest / self.seconds, None),
        ]


def _scorer(config: Config, network: Network, corpora: Corpora) -> Callable[[], int]:
    """Scores the validation text (the training text where there is none), a window a call."""
    corpus = corpora.valid or corpora.train
    parts: Iterator[Any] = iter(())

    def step() -> int:
        nonlocal parts
        part = next(parts, None)
        if part is None:
            parts = score(network, corpus, config.train.state)
            part = next(parts)
        return len(part.log_probability)

    return step


def _sampler(network: Network, vocabulary: Vocabulary, samples: int) -> Callable[[], int]:
    """Draws one token of each sample a call."""
    from rnnlm.sample import Settings, sample

    parts: Iterator[Any] = iter(())

    def step() -> int:
        nonlocal parts
        if next(parts, None) is None:
            parts = sample(network, vocabulary, "", "carry", Settings(tokens=10_000, samples=samples))
            next(parts)
        return samples

    return step
