"""A mixture of softmaxes over the vocabulary, as functions over ``layer.Mixture``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.outputs.mixture.layer import Mixture
from rnnlm.network.outputs.softmax import logits
from rnnlm.network.protocols import Draw, Objective, Rows

if TYPE_CHECKING:
    from rnnlm.config.schema import Model


def _layer(hidden: int, d: int, vocabulary: int, settings: Model) -> Mixture:
    return Mixture(hidden, d, vocabulary, settings.tie, settings.mixture)


def _of(parameters) -> Mixture:
    """The layer that has these parameters."""
    V, tied = len(parameters["b2"]), "E" in parameters
    hidden, K = parameters["W"].shape
    return Mixture(hidden, parameters["P"].shape[1] // K, V, tied, K)


def shapes(hidden: int, d: int, vocabulary: int, settings: Model) -> dict[str, tuple[int, ...]]:
    return dict(_layer(hidden, d, vocabulary, settings).shapes())


def init(
    hidden: int, d: int, vocabulary: int, settings: Model, dtype: np.dtype, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    return _layer(hidden, d, vocabulary, settings).init(dtype, generator)


def forward(parameters, h, targets, workspace: Workspace, threads, details=False):
    return _of(parameters).scores(parameters, Rows(h, targets), Context(workspace, threads), details)


def loss(parameters, h, targets, label_smoothing, workspace: Workspace, threads) -> float:
    objective = Objective(1.0, label_smoothing)
    return _of(parameters).loss(parameters, Rows(h, targets), objective, Context(workspace, threads))


def backward(parameters, gradients, h, targets, scale, label_smoothing, dh, workspace: Workspace, threads):
    rows, objective, context = Rows(h, targets), Objective(scale, label_smoothing), Context(workspace, threads)
    return _of(parameters).backward(parameters, gradients, rows, objective, dh, context).J


def distribution(parameters, h, workspace: Workspace, threads):
    layer = _of(parameters)
    return layer.log_distribution(layer.pack(parameters, Context(workspace, threads)), h, None, threads)


class Ready(NamedTuple):
    layer: Mixture
    packed: Any


def ready(parameters, workspace: Workspace) -> Ready:
    layer = _of(parameters)
    return Ready(layer, layer.pack(parameters, Context(workspace, 1)))


def step(ready, h, z, threads):
    z[:] = ready.layer._log_y(ready.packed, h, threads)


def log_softmax(z):
    return logits.log_softmax(z)


def draw(z, temperature, without, uniforms, threads):
    return logits.draw(z, Draw(temperature, without, uniforms), threads)


def multiplications(hidden: int, d: int, vocabulary: int, settings: Model) -> int:
    return _layer(hidden, d, vocabulary, settings).multiplications()


def held_bytes(rows: int, hidden: int, d: int, vocabulary: int, settings: Model, itemsize: int, threads: int) -> int:
    return _layer(hidden, d, vocabulary, settings).held_bytes(rows, itemsize, threads)
