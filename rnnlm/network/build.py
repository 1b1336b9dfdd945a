"""Networks built from a configuration, by the registries of cells and output layers.

Nothing else looks into the registries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnlm.config.base import Typed
from rnnlm.config.schema import Config
from rnnlm.kernels.matmul.choice import Choice
from rnnlm.network.cells import CELLS
from rnnlm.network.layers import layer_norm
from rnnlm.network.network import Network
from rnnlm.network.outputs import OUTPUTS
from rnnlm.network.parameters import Parameters, flatten
from rnnlm.network.protocols import Array, Axis, Cell, Initializer, OutputLayer, Shapes
from rnnlm.text.vocabulary import Vocabulary


def cells(config: Config) -> list[Cell[Any, Any]]:
    """The recurrent layers, from the embedding up."""
    model = config.model
    inputs = (config.embedding.size, *model.sizes[:-1])
    make, options = CELLS[model.cell.type], _options(model.cell)
    return [make(d, D_h, **options) for d, D_h in zip(inputs, model.sizes, strict=True)]


def output(config: Config, vocabulary: int) -> OutputLayer[Any]:
    """The output layer for a vocabulary of so many tokens."""
    model = config.model
    make, options = OUTPUTS[model.output.type], _options(model.output)
    return make(model.sizes[-1], config.embedding.size, vocabulary, model.tie_weights, **options)


def settled(config: Config, vocabulary: int) -> Config:
    """The configuration with what the output layer chooses for a vocabulary of so many tokens, its cutoffs."""
    section, made = config.model.output, output(config, vocabulary)
    chosen = {name: getattr(made, name, None) for name, value in _options(section).items() if value is None}
    chosen = {name: list(value) for name, value in chosen.items() if isinstance(value, tuple)}
    model = config.model.model_copy(update={"output": section.model_copy(update=chosen)})
    return config.model_copy(update={"model": model}) if chosen else config


def _options(section: Typed) -> dict[str, Any]:
    """The options of a section: its keys but for the type."""
    return section.model_dump(exclude={"type"})


def build(
    config: Config,
    parameters: Parameters,
    threads: int | str | None = None,
    initial: Sequence[Array] | None = None,
    products: Choice | None = None,
    words: Vocabulary | None = None,
) -> Network:
    """The network of a configuration with these parameters, which are used in place.

    Args:
        threads: None: ``train.threads``.
        initial, products: as of `Network`.
        words: the vocabulary, whose counts and classes output layers ask for; None: each token once, and no classes.
    """
    size = len(parameters["embedding"]["table"])
    made = output(config, size)
    tables = made.tables(np.ones(size, np.int64)) if words is None else made.tables(words.counts, words.classes)
    return Network(config, cells(config), made, parameters, threads, tables, initial, products)


def shapes(config: Config, vocabulary: int) -> dict[str, tuple[Axis, ...]]:
    """The shape of every parameter, by its flat name."""
    tree = {
        "embedding": {"table": (Axis(vocabulary, "V"), Axis(config.embedding.size, "d"))},
        "cells": [cell.shapes() for cell in cells(config)],
        "norms": [_norm_shapes(config, hidden) for hidden in config.model.sizes],
        "output": output(config, vocabulary).shapes(),
    }
    return flatten(tree)  # type: ignore[arg-type, return-value]  # a tree of shapes, where arrays are expected


def _norm_shapes(config: Config, hidden: int) -> Shapes:
    return layer_norm.shapes(hidden) if config.model.layer_norm else {}


def init(config: Config, vocabulary: int, table: Array) -> Parameters:
    """Parameters to start from, of ``train.precision``; `table` (|V| x d) is what ``rnnlm.vectors`` made."""
    model, dtype = config.model, np.dtype(config.train.dtype)
    initializer = None if model.recurrent_init is None else Initializer(**model.recurrent_init.model_dump())
    seed = config.train.seed
    drawn = [
        cell.init(np.random.default_rng([seed, 1, layer]), initializer) for layer, cell in enumerate(cells(config))
    ]
    norms = [layer_norm.init(hidden) if model.layer_norm else {} for hidden in model.sizes]
    return Parameters(
        # A copy, always: the parameters are changed in place.
        embedding={"table": np.array(table, dtype, order="C")},
        cells=[{name: np.array(value, dtype, order="C") for name, value in own.items()} for own in drawn],
        norms=[{name: value.astype(dtype) for name, value in own.items()} for own in norms],
        output=output(config, vocabulary).init(dtype, np.random.default_rng([seed, 2])),
    )
