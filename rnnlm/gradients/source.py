"""Subjects of an analysis: a network, of a configuration at its start or trained, and a text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnnlm import vectors, word_classes
from rnnlm.config.embedding import Normal
from rnnlm.config.encodings import UTF_8
from rnnlm.config.schema import Config
from rnnlm.corpora import prepare
from rnnlm.errors import InputError
from rnnlm.files import model_file, own_texts
from rnnlm.kernels.parallel.thread_pool import threads_to_use
from rnnlm.network import build
from rnnlm.network.network import Network
from rnnlm.network.parameters import flatten, unflatten
from rnnlm.network.protocols import Array
from rnnlm.text import corpus
from rnnlm.text.corpus import Corpus
from rnnlm.text.joined import Joined
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Note, Task


@dataclass(frozen=True)
class Source:
    """A network and a text, the subject of an analysis."""

    network: Network
    text: Corpus


def is_model(path: str) -> bool:
    """Whether `path` is a run's folder or a model's file rather than a configuration."""
    return Path(path).is_dir() or path.endswith(".safetensors")


def from_model(
    path: str | Path,
    text: Path | Joined | None,
    folder: Path,
    precision: str | None = None,
    threads: int | str = "auto",
    encoding: str = UTF_8,
) -> Task[Source]:
    """A trained network and a text; `folder` is where the text is encoded.

    Args:
        text: None: the training text of the run.
        precision: None: that of the file. encoding: of `text`, a codec's name.

    Raises:
        ModelError: not there or damaged; InputError: no text; TextError: the text is empty, not in its encoding, or
        almost nothing of it is in the vocabulary.
    """
    trained = model_file.load(path)
    if text is None:
        text, encoding = _training_text(trained), trained.config.data.encoding_read
    encoded = yield from corpus.read(text, trained.vocabulary, folder, encoding)
    yield from prepare.check_coverage(encoded)
    config = _with_precision(trained.config, precision)
    parameters = {name: value.astype(config.train.dtype) for name, value in trained.parameters.items()}
    return Source(_network(config, parameters, trained.vocabulary, threads), encoded)


def from_config(config: Config, text: Path | Joined | None, folder: Path, encoding: str = UTF_8) -> Task[Source]:
    """The network that a configuration's training would start from, in float64, and its training text (or `text`)."""
    config = _with_precision(config, "float64")
    paths = yield from prepare.texts(config)
    words = yield from prepare.build_vocabulary(config, paths.train)
    called = None
    if text is None:
        text, encoding, called = paths.train, config.data.encoding_read, prepare.called(config, "train", paths.train)
    encoded = yield from corpus.read(text, words, folder, encoding)
    yield from prepare.check_coverage(encoded, called)
    table = yield from _table(config, encoded, words)
    words.classes = yield from word_classes.make(config.model.output, encoded, words)
    return Source(_network(config, flatten(build.init(config, len(words), table)), words), encoded)


def _network(
    config: Config, parameters: dict[str, Array], words: Vocabulary, threads: int | str | None = None
) -> Network:
    return build.build(config, unflatten(parameters), threads, words=words)


def _table(config: Config, encoded: Corpus, words: Vocabulary) -> Task[np.ndarray]:
    settings = config.embedding
    if settings.init.type not in ("uniform", "normal"):
        yield Note(
            f"embedding.init: {settings.init.type} takes long and changes no derivative: a normal table instead"
        )
        settings = settings.model_copy(update={"init": Normal(scale=settings.init.scale)})
    table = yield from vectors.make(encoded, words, settings, config.train.seed, threads_to_use(config.train.threads))
    return np.asarray(table)


def _training_text(trained: model_file.Trained) -> Path | Joined:
    path = own_texts.own_text(trained, "train")
    if path is None:
        raise InputError(f"{trained.path}: the run's own training text is not there (any more); give a TEXT")
    return path


def _with_precision(config: Config, precision: str | None) -> Config:
    if precision is None:
        precision = config.train.dtype  # nothing is rounded to bfloat16 where gradients are looked at
    return config.model_copy(update={"train": config.train.model_copy(update={"precision": precision})})
