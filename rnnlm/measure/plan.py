"""The plan of a run: its parameters, memory and time, measured without training."""

from __future__ import annotations

import math
import time

from rnnlm.config.schema import Config
from rnnlm.measure.records import Plan
from rnnlm.measure.trial import Trial, prepared
from rnnlm.network import build
from rnnlm.network.outputs import Adaptive
from rnnlm.network.scoring import score
from rnnlm.text.corpus import Corpus
from rnnlm.training import freezing, memory, windows
from rnnlm.work import Progress, Task

_SECONDS = 3.0  # of measuring
_SCORED = 20_000  # tokens of the validation text that are scored at most


def plan(config: Config) -> Task[Plan]:
    """Count the vocabulary, encode the texts, time some updates of a network that is thrown away. Returns a Plan.

    Raises:
        InputError: as training would; ResourceError: too little memory or disk, so there is nothing to measure.
    """
    found = yield from prepared(config)
    need, vocabulary, corpora = found.needs, found.vocabulary, found.corpora
    shapes = build.shapes(config, len(vocabulary))
    trial = Trial(found)

    def update(number: int) -> None:
        trial.update(trial.window(number))

    yield Progress("compiling the kernels", 0, 1, "updates")
    update(0)
    yield Progress("compiling the kernels", 1, 1, "updates")
    began, number = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < _SECONDS or number == 0:
        number += 1
        update(number)
        yield Progress("measuring", min(elapsed, _SECONDS), _SECONDS, "seconds")
    seconds_per_update = elapsed / number
    # The trial's updates have one window each.
    seconds_per_update *= config.train.accumulate
    updates_per_epoch = windows.updates_of_epoch(config.train, trial.streams.length, 0)
    total = windows.total_updates(config.train, trial.streams.length)
    length = trial.streams.length
    windows.check_warmup(config.train, length)
    validations, seconds_per_validation = 0, 0.0
    if corpora.valid is not None:
        yield Progress("measuring validation", 0, 1, "texts")
        validations = windows.total_validations(config.train, length) + (found.model is not None)
        seconds_per_validation = _seconds_a_token(trial, corpora.valid) * len(corpora.valid)
        yield Progress("measuring validation", 1, 1, "texts")
    output = trial.network.output
    return Plan(
        tensors=tuple((name, shape, math.prod(shape)) for name, shape in shapes.items()),
        parameters=need.parameters,
        trained=sum(math.prod(shape) for shape in freezing.learning(config, shapes).values()),
        source=None if found.model is None else found.model.source,
        vocabulary=len(vocabulary),
        train_tokens=len(corpora.train),
        unknown=corpora.train.counts.unknown,
        memory_bytes=need.training_bytes,
        available_bytes=memory.available_memory(),
        disk_bytes=need.disk_bytes,
        threads=trial.network.threads,
        tokens_per_second=config.train.stride * trial.streams.batch * config.train.accumulate / seconds_per_update,
        epochs=config.train.epochs,
        total_updates=total,
        seconds_per_epoch=updates_per_epoch * seconds_per_update,
        validations=validations,
        seconds_per_validation=seconds_per_validation,
        seconds=total * seconds_per_update + validations * seconds_per_validation,
        cutoffs=tuple(output.cutoffs) if isinstance(output, Adaptive) and output.cutoffs else None,
    )


def _seconds_a_token(trial: Trial, text: Corpus) -> float:
    """Of scoring a text; its first window, for which kernels may be compiled, does not count where there are more."""
    tokens, began, scored = 0, 0.0, 0
    start = time.perf_counter()
    for part in score(trial.network, text, trial.network.config.state):
        scored += part.log_probability.size
        if began == 0.0 and scored < len(text):
            began, tokens = time.perf_counter(), scored
        if scored - tokens >= _SCORED:
            break
    return (time.perf_counter() - (began or start)) / (scored - tokens or scored)
