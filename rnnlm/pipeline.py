"""Pipelines of ``rnnlm train``, ``vocab`` and ``embed``: from a configuration to results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from rnnlm import vectors
from rnnlm.config.schema import Config
from rnnlm.corpora import cache, prepare
from rnnlm.files import model_file
from rnnlm.language_model import LanguageModel
from rnnlm.sampling.records import Samples
from rnnlm.text import corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training import loop as training
from rnnlm.training import loss_curve
from rnnlm.training.records import End, Start
from rnnlm.vectors import pretrained
from rnnlm.work import Note, Task

_T = TypeVar("_T")


def run(
    config: Config, resume: bool = False, stop: Callable[[], bool] = lambda: False, restart: bool = False
) -> Task[dict[str, Any]]:
    """All of ``rnnlm train``: training, a picture of the loss where matplotlib is there (a Note), three
    samples of the best model (Samples), its perplexity on the test text (an Evaluation). Yields records,
    returns the results as plain data.

    Args:
        stop: asked after every record; True ends the training after its update, and anything else at once.

    Raises:
        KeyboardInterrupt: `stop` said so before or after the training.
    """
    end = yield from train(config, resume, stop, restart)
    result = {key: value for key, value in asdict(end).items() if key != "event"}
    picture = loss_curve.draw(Path(config.run))
    if picture is not None:
        yield Note(f"the loss as a picture: {picture}")
    if result["reason"] == "interrupted":
        return result
    model = LanguageModel(model_file.load(config.run), config.train.threads)
    line = config.data.unit == "word"
    texts = model.samples(3, tokens=40 if line else 200, seed=config.train.seed, stop_at_line_end=line)
    yield Samples(tuple(texts))
    result["samples"] = texts
    if model.test_text() is not None:
        evaluation = yield from _until(stop, model.evaluating_own_text())
        yield evaluation
        result["test"] = evaluation.json()
    return result


def train(config: Config, resume: bool, stop: Callable[[], bool], restart: bool = False) -> Task[End]:
    """``training.loop.train``, which ends at once where `stop` says so before there is anything to keep; returns its
    last record.

    Raises:
        KeyboardInterrupt: `stop` said so before the training.
    """
    started, end = False, None
    for record in training.train(config, resume, stop, restart):
        started = started or isinstance(record, Start)
        if stop() and not started:
            raise KeyboardInterrupt
        if isinstance(record, End):
            end = record
        yield record
    assert end is not None
    return end


def write_vocabulary(config: Config, path: Path) -> Task[Vocabulary]:
    """``rnnlm vocab``: count the training text, once, and write the vocabulary to `path`; returns it."""
    train = Path(config.data.train) if config.data.train is not None else (yield from prepare.texts(config)).train
    vocabulary = yield from prepare.build_vocabulary(config, train)
    vocabulary.save(path)
    return vocabulary


def write_embedding(config: Config, path: Path) -> Task[np.ndarray]:
    """``rnnlm embed``: make the initial embedding table and write it to `path` in word2vec's text format;
    returns it."""
    found = yield from prepare.texts(config)
    vocabulary = yield from prepare.build_vocabulary(config, found.train)
    encoded = yield from corpus.encode(found.train, vocabulary, cache.folder())
    table = yield from vectors.make(encoded, vocabulary, config.embedding, config.train.seed, config.train.threads)
    pretrained.save(path, [vocabulary.spell(i) for i in range(len(vocabulary))], table)
    return table


def _until(stop: Callable[[], bool], task: Task[_T]) -> Task[_T]:
    """`task`, ended by KeyboardInterrupt as soon as `stop` says so."""
    while True:
        try:
            record = next(task)
        except StopIteration as end:
            result: _T = end.value
            return result
        if stop():
            raise KeyboardInterrupt
        yield record
