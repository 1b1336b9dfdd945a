"""Starting from a model (``train.from``): the weights of an earlier run, matched by token.

Parameters without an axis of tokens are the model's. In the others (rows of the embedding table, columns of U,
numbers of b2) each token of the vocabulary has

    in the model's vocabulary      what it has there
    new                            what <unk> has there + N(0, (s / 10)^2); the mean where there is no <unk>
    new, with ``init: file``       in the table: its row of the table that the file's vectors make

s is the standard deviation of all the model's numbers of this parameter. Tokens that the model alone has are left
out.
Only the architecture must be the same: texts, dropout, optimizer and precision may differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm import word_classes
from rnnlm.config.errors import in_yaml
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError, InputError, ModelError
from rnnlm.files import model_file
from rnnlm.files.model_file import Trained
from rnnlm.network import build
from rnnlm.network.parameters import TABLE, Parameters, unflatten
from rnnlm.network.protocols import Array, Axis
from rnnlm.text import files
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training.records import Source
from rnnlm.work import Note, Task

_NOISE = 0.1  # deviation of a new token's numbers from those of <unk>, as a share of s


class Model(NamedTuple):
    """The model that a run starts from.

    ids: of each token of the new vocabulary (|V|) its id in the model's, -1 where it is new.
    """

    trained: Trained
    ids: NDArray[np.int64]
    source: Source

    def notes(self) -> Iterator[Note]:
        """What is taken from it, for a person."""
        path, found = self.trained.path, self.source
        new = f"; {found.new:,} new ones start from <unk>" if found.new else ""
        taken = f"{path}: gives the weights, those of {found.matched:,} of the {self.ids.size:,} tokens{new}"
        yield Note(taken, warning=2 * found.matched < self.ids.size)
        if found.left_out:
            of_subwords = self.trained.vocabulary.unit == "subword"
            key = "data.subwords, with the model" if of_subwords else "vocab.file, with the vocab.txt"
            yield Note(
                f"{path}: {found.left_out:,} of its {len(self.trained.vocabulary):,} tokens are not in this "
                f"vocabulary and are left out; {key} of its run, keeps them",
                warning=True,
            )


def read(config: Config, vocabulary: Vocabulary) -> Model | None:
    """The model of ``train.from``; None where there is none.

    Raises:
        ConfigError: it has another architecture; names the first key that differs, with both values.
        InputError: no such file; it is the run's own; its output layer cannot take this vocabulary.
    """
    path = config.train.source
    if path is None:
        return None
    try:
        trained = model_file.load(path)
    except ModelError as error:
        raise ModelError(f"train.from: {error}") from None
    if trained.path.parent.resolve() == Path(config.run).resolve():
        raise ConfigError(f"train.from: {path} is in the folder of this run; take another folder with --run")
    _check_architecture(config, trained)
    own = trained.vocabulary
    same = own.tokens == vocabulary.tokens and np.array_equal(own.counts, vocabulary.counts)
    if not same and not build.output(config, len(vocabulary)).by_token:
        too = ", and data.subwords to the model there" if own.unit == "subword" else ""
        raise InputError(
            f"train.from: {trained.path}: the weights of model.output: {config.model.output.type} go with their own "
            f"vocabulary; set vocab.file to the vocab.txt of its run{too}"
        )
    ids = np.array([-1 if (id := own.id(token)) is None else id for token in vocabulary.tokens], np.int64)
    matched = int((ids >= 0).sum())
    return Model(trained, ids, Source(files.sha256(trained.path), matched, ids.size - matched, len(own) - matched))


def classes(
    config: Config, train: Corpus, vocabulary: Vocabulary, model: Model | None
) -> Task[NDArray[np.int32] | None]:
    """The classes of the tokens: the model's own, or where there is none, those that ``word_classes.make`` makes."""
    if model is not None:
        return model.trained.vocabulary.classes
    return (yield from word_classes.make(config.model.output, train, vocabulary))


def parameters(config: Config, model: Model, table: Array | None = None) -> Parameters:
    """The parameters to start from, of ``train.precision``.

    Args:
        table: |V| x d, from which new tokens take their rows; None: from <unk>.
    """
    found, dtype = {}, np.dtype(config.train.dtype)
    for number, (name, shape) in enumerate(build.shapes(config, model.ids.size).items()):
        value = model.trained.parameters[name]
        axes = [axis for axis, size in enumerate(shape) if _counts_tokens(size, model.ids.size)]
        if axes:
            generator = np.random.default_rng([config.train.seed, 7, number])
            rows = _matched(np.moveaxis(value, axes[0], 0), model, generator)
            if name == TABLE and table is not None:
                rows[model.ids < 0] = table[model.ids < 0]
            value = np.moveaxis(rows, 0, axes[0])
        found[name] = np.array(value, dtype, order="C")
    return unflatten(found)


def _counts_tokens(axis: Axis, V: int) -> bool:
    return axis.name == "V" and axis == V


def _matched(value: Array, model: Model, generator: np.random.Generator) -> Array:
    """The rows (a row a token) for the new vocabulary, of those of the model's."""
    new = model.ids < 0
    unk = model.trained.vocabulary.unk
    rows = value[np.where(new, 0 if unk is None else unk, model.ids)]
    if new.any():
        if unk is None:
            rows[new] = value.mean(axis=0, dtype=np.float64)
        noise = generator.standard_normal(rows[new].shape)
        rows[new] += (_NOISE * value.std(dtype=np.float64) * noise).astype(value.dtype)
    return rows


def _check_architecture(config: Config, trained: Trained) -> None:
    there = _architecture(build.settled(trained.config, len(trained.vocabulary)))
    for key, here in _architecture(config).items():
        if here != there.get(key):
            raise ConfigError(
                f"train.from: {trained.path} has {key}: {in_yaml(there.get(key))}, the configuration "
                f"{in_yaml(here)}; a run starts from a model of the same architecture"
            )


def _architecture(config: Config) -> dict[str, Any]:
    """What says which parameters there are and what is computed with them, by key; a type before its options."""
    model = config.model
    output = model.output.model_dump()
    if isinstance(made_by := output.get("by"), dict):
        output["by"] = made_by["type"]  # the classes themselves are the model's
    return {
        "data.unit": config.data.unit,
        "data.tokenizer": config.data.tokenizer,
        "embedding.size": config.embedding.size,
        **{f"model.cell.{key}": value for key, value in model.cell.model_dump().items()},
        "model.hidden": list(model.sizes),
        **{f"model.output.{key}": value for key, value in output.items()},
        "model.tie_weights": model.tie_weights,
        "model.layer_norm": model.layer_norm,
    }
