"""The bench: the speed of this machine, and of a configuration on it, layer by layer.

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
from rnnlm.kernels import peak
from rnnlm.measure.records import Bench, Layer
from rnnlm.measure.trial import Trial, prepared
from rnnlm.network.network import CELLS, OUTPUT, REST, Network
from rnnlm.network.scoring import score
from rnnlm.network.stopwatch import Stopwatch
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training import memory
from rnnlm.training.update import RULE, TrainingWindow
from rnnlm.work import Progress, Task

_STREAMS = 64


def bench(config: Config, seconds: float = 3.0) -> Task[Bench]:
    """Measure, `seconds` for each figure; the network is thrown away. Returns a Bench.

    Raises:
        InputError: as training would; ResourceError: too little memory.
    """
    found = yield from prepared(config)
    trial = Trial(found)
    network, vocabulary = trial.network, found.vocabulary
    yield Progress("multiply-adds", 0, 1, "loops")
    machine = peak.rate(network.products.layout, network.dtype, network.threads)
    yield Progress("multiply-adds", 1, 1, "loops")
    training = _Training(trial)
    began = time.perf_counter()
    yield Progress("compiling the kernels", 0, 1, "updates")
    training.update()
    first = time.perf_counter() - began
    yield Progress("compiling the kernels", 1, 1, "updates")
    speed = yield from _rate("training", training.update, seconds)
    layers = training.layers()
    evaluation = yield from _rate("evaluation", _scorer(network, found.corpora), seconds)
    one = yield from _rate("sampling", _sampler(network, vocabulary, 1), seconds)
    many = yield from _rate("sampling of 64", _sampler(network, vocabulary, _STREAMS), seconds)
    return Bench(
        threads=network.threads,
        precision=config.train.precision,
        products=network.products.name,
        products_why=network.products.why,
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


class _Training:
    """A trial with a stopwatch; the first update, which compiles, is not counted."""

    def __init__(self, trial: Trial) -> None:
        self.trial, self.watch = trial, Stopwatch()
        self.number = 0
        self.cell_products = self.output_products = 0.0

    def update(self) -> int:
        """One update; returns its new tokens."""
        if self.number == 1:
            self.watch = Stopwatch()
        self.watch.start()
        window = self.trial.window(self.number)
        self.trial.update(window, self.watch)
        if self.number > 0:
            self._count_products(window)
        self.number += 1
        return min(self.trial.settings.stride, len(window.targets)) * self.trial.streams.batch

    def _count_products(self, window: TrainingWindow) -> None:
        network, inputs = self.trial.network, window.window.inputs
        distinct = np.unique(inputs).size if network.config.model.dropout_rates[0] == 0 else inputs.size
        for layer, cell in enumerate(network.cells):
            self.cell_products += 6.0 * cell.multiplications(distinct if layer == 0 else inputs.size, inputs.size)
        self.output_products += 6.0 * network.output.multiplications() * window.loss_steps * inputs.shape[1]

    @property
    def seconds(self) -> float:
        """Of all updates but the first."""
        return sum(self.watch.seconds.values())

    @property
    def gflops(self) -> float:
        return (self.cell_products + self.output_products) / self.seconds / 1e9

    def layers(self) -> list[Layer]:
        """What each part takes of an update."""
        seconds, products = self.watch.seconds, {CELLS: self.cell_products, OUTPUT: self.output_products}
        return [
            Layer(
                part, seconds[part] / self.seconds, products[part] / seconds[part] / 1e9 if part in products else None
            )
            for part in (CELLS, OUTPUT, RULE, REST)
        ]


def _scorer(network: Network, corpora: Corpora) -> Callable[[], int]:
    """Scores the validation text (the training text where there is none), a window a call."""
    corpus = corpora.valid or corpora.train
    parts: Iterator[Any] = iter(())

    def step() -> int:
        nonlocal parts
        part = next(parts, None)
        if part is None:
            parts = score(network, corpus, network.config.state)
            part = next(parts)
        return len(part.log_probability)

    return step


def _sampler(network: Network, vocabulary: Vocabulary, samples: int) -> Callable[[], int]:
    """Draws one token of each sample a call."""
    from rnnlm.sampling import prompts
    from rnnlm.sampling.sample import Settings, sample

    empty = prompts.encode("", vocabulary)
    parts: Iterator[Any] = iter(())

    def step() -> int:
        nonlocal parts
        if next(parts, None) is None:
            parts = sample(network, vocabulary, [empty], "carry", Settings(tokens=10_000, samples=samples))
            next(parts)
        return samples

    return step
