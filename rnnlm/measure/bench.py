"""How fast this machine is, and how fast a configuration runs on it, layer by layer.

GFLOP/s count the multiplications and additions of the matrix products that must be done: for a token's loss 6 D_h |V|
in the output layer (forward, and twice that backward; K times that in a mixture) and 6 D_h^2 in each recurrence; for
what goes into a layer 6 d D_h, in the first layer once for each different token of a window
(``embedding.Distinct``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np

from rnnlm.config.schema import Config
from rnnlm.corpora.prepare import Corpora
from rnnlm.kernels.matmul.blas import gemm
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.measure.records import Bench, Layer
from rnnlm.measure.trial import Trial, prepared
from rnnlm.network.network import Network
from rnnlm.network.outputs import OUTPUTS
from rnnlm.network.scoring import score
from rnnlm.text.corpus import Window
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training import memory
from rnnlm.work import Progress, Task

# The size of the machine's own products: large enough that what goes on beside them is lost in it.
_LARGE = 1024
_STREAMS = 64


def bench(config: Config, seconds: float = 3.0) -> Task[Bench]:
    """Measure, `seconds` for each figure; the network is thrown away. Returns a Bench.

    Raises:
        InputError: as training would; ResourceError: too little memory.
    """
    found = yield from prepared(config)
    trial = Trial(found)
    network, vocabulary = trial.network, found.vocabulary
    machine = yield from _machine(network, seconds)
    training = _Training(trial)
    began = time.perf_counter()
    yield Progress("compiling the kernels", 0, 1, "steps")
    training.update()
    first = time.perf_counter() - began
    yield Progress("compiling the kernels", 1, 1, "steps")
    speed = yield from _rate("training", training.update, seconds)
    layers = training.layers()
    network.watch(lambda clock: clock.layer)  # what follows is measured without them
    evaluation = yield from _rate("evaluation", _scorer(network, found.corpora), seconds)
    one = yield from _rate("sampling", _sampler(network, vocabulary, 1), seconds)
    many = yield from _rate("sampling of 64", _sampler(network, vocabulary, _STREAMS), seconds)
    precision = config.train.precision
    return Bench(
        threads=network.workers,
        precision="float32" if precision == "bfloat16" and not network.bfloat16 else precision,
        machine_gflops=machine,
        vocabulary=len(vocabulary),
        parameters=found.needs.parameters,
        first_update_seconds=first,
        training_tokens_per_second=speed,
        training_gflops=training.gflops,
        evaluation_tokens_per_second=evaluation,
        sampling_tokens_per_second=one,
        sampling_64_tokens_per_second=many,
        layers=tuple(layers),
        peak_bytes=memory.peak(),
    )


def _rate(task: str, step: Callable[[], int], seconds: float) -> Task[float]:
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


def _machine(network: Network, seconds: float) -> Task[float]:
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
        self.layer = layer
        self.seconds: dict[str, float] = {}

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.layer, name)

        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            result = function(*arguments)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
            return result

        return timed


class _Training:
    """A trial with a watch on every layer; the first update, which compiles, is not counted."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.cell, self.output = trial.network.watch(_Clock)
        self.number = 0
        self.seconds = self.optimizer_seconds = self.cell_products = self.output_products = 0.0

    def update(self) -> int:
        """One update; returns its new tokens."""
        began = time.perf_counter()
        window = self.trial.window(self.number)
        gradients = self.trial.backward(self.number, window)
        clipping = time.perf_counter()
        self.trial.step(gradients)
        ended = time.perf_counter()
        if self.number == 0:
            self.cell.seconds.clear()
            self.output.seconds.clear()
        else:
            self.seconds += ended - began
            self.optimizer_seconds += ended - clipping
            self._count_products(window)
        self.number += 1
        return min(self.trial.settings.stride, len(window.targets)) * self.trial.streams.batch

    def _count_products(self, window: Window) -> None:
        network = self.trial.network
        inputs = np.unique(window.inputs).size if network.config.model.dropout_rates[0] == 0 else window.inputs.size
        for layer, own in enumerate(network.layers):
            read = inputs if layer == 0 else window.inputs.size
            self.cell_products += 6.0 * own["I"].size * read
            self.cell_products += 6.0 * own["H"].size * window.inputs.size if "H" in own else 0.0
        model = network.config.model
        once = OUTPUTS[model.output.type].multiplications(model.sizes[-1], network.d, network.vocabulary_size, model)
        self.output_products += 6.0 * once * self.trial.loss_steps(window) * self.trial.streams.batch

    @property
    def gflops(self) -> float:
        return (self.cell_products + self.output_products) / self.seconds / 1e9

    def layers(self) -> list[Layer]:
        """What each part takes of an update."""
        cell, output = (sum(clock.seconds.values()) for clock in (self.cell, self.output))
        rest = self.seconds - cell - output - self.optimizer_seconds
        return [
            Layer("recurrent layers", cell / self.seconds, self.cell_products / cell / 1e9),
            Layer("output layer", output / self.seconds, self.output_products / output / 1e9),
            Layer("clipping and update", self.optimizer_seconds / self.seconds, None),
            Layer("embedding, dropout, windows", rest / self.seconds, None),
        ]


def _scorer(network: Network, corpora: Corpora) -> Callable[[], int]:
    """Scores the validation text (the training text where there is none), a window a call."""
    corpus = corpora.valid or corpora.train
    parts: Iterator[Any] = iter(())

    def step() -> int:
        nonlocal parts
        part = next(parts, None)
        if part is None:
            parts = score(network, corpus, network.config.train.state)
            part = next(parts)
        return len(part.log_probability)

    return step


def _sampler(network: Network, vocabulary: Vocabulary, samples: int) -> Callable[[], int]:
    """Draws one token of each sample a call."""
    from rnnlm.sampling.sample import Settings, sample

    parts: Iterator[Any] = iter(())

    def step() -> int:
        nonlocal parts
        if next(parts, None) is None:
            parts = sample(network, vocabulary, "", "carry", Settings(tokens=10_000, samples=samples))
            next(parts)
        return samples

    return step
