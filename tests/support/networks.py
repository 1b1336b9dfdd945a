"""Small random networks and windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle

from rnnlm.config.network import Elman
from rnnlm.config.schema import Config
from rnnlm.gradients.check import check
from rnnlm.gradients.check.records import GradientCheck
from rnnlm.gradients.window import Window
from rnnlm.network import build
from rnnlm.network.network import Network, Trace
from rnnlm.network.network import Window as Read
from rnnlm.network.parameters import Gradients, unflatten


def config(
    activation: str = "tanh",
    d: int = 5,
    hidden: int = 6,
    layers: int = 1,
    tie: bool = False,
    dropout: float = 0.0,
    precision: str = "float64",
    threads: int = 2,
    model: dict[str, Any] | None = None,
    **train: Any,
) -> Config:
    return Config.model_validate(
        {
            "data": {"train": "text"},
            "embedding": {"size": hidden if tie else d},
            "model": {
                "cell": {"type": "elman", "activation": activation},
                "hidden": hidden,
                "layers": layers,
                "tie_weights": tie,
                "dropout": dropout,
                **(model or {}),
            },
            "train": {"precision": precision, "threads": threads, **train},
        }
    )


def network(settings: Config, vocabulary: int, seed: int = 0, deviation: float = 0.5) -> Network:
    """Every parameter random, biases too."""
    generator = np.random.default_rng(seed)
    parameters = {
        name: (generator.normal(0, deviation, shape)).astype(settings.train.dtype)
        for name, shape in build.shapes(settings, vocabulary).items()
    }
    return build.build(settings, unflatten(parameters))


class Case:
    """A network with a window: inputs, targets, resets and states to start from."""

    def __init__(
        self,
        settings: Config | Network,
        vocabulary: int = 11,
        steps: int = 7,
        batch: int = 3,
        seed: int = 0,
        resets: bool = True,
    ):
        generator = np.random.default_rng(seed + 1)
        self.network = settings if isinstance(settings, Network) else network(settings, vocabulary, seed)
        shape = (steps, batch)
        self.inputs = generator.integers(0, vocabulary, shape).astype(np.int32)
        self.targets = generator.integers(0, vocabulary, shape).astype(np.int32)
        self.reset = generator.random(shape) < 0.2 if resets else np.zeros(shape, np.bool_)
        dtype = self.network.dtype
        cells, n = len(self.network.cells), self.network.output.history
        states = [state.shape for state in self.network.initial_states(batch)]
        self.states = [generator.normal(0, 0.5, shape).astype(dtype) for shape in states[:cells]]
        if n:
            self.states.append(generator.integers(-1, vocabulary, (batch, n)).astype(dtype))
        self.batch, self.steps, self.vocabulary = batch, steps, vocabulary

    def distance_from_kinks(self) -> float:
        """The smallest |z1| of the window: relu has no derivative at 0, so a finite difference must not step over
        it."""
        parameters = {name: value.astype(np.float64) for name, value in self.network.named.items()}
        states = [state.astype(np.float64) for state in self.states]
        activation = self.network.config.model.activation
        found = oracle.forward(parameters, self.inputs, states, activation, reset=self.reset)
        return min(float(np.abs(z1).min()) for z1 in found.z1)

    def forward(self, mask: tuple[int, int] | None = None, steps: int | None = None) -> Trace:
        """The network's trace of the window, or of its first steps."""
        return self.network.forward(Read(self.inputs[:steps], self.reset[:steps], self.states), mask)

    def backward(self, loss_steps: int, mask: tuple[int, int] | None = None) -> tuple[float, Gradients]:
        """The sum of J over the losses and streams, and the gradients while they live."""
        return self.network.backward(self.forward(mask), self.targets, loss_steps)

    def loss(self, loss_steps: int, mask: tuple[int, int] | None = None) -> float:
        """J: summed over the last `loss_steps` steps, averaged over the streams."""
        return self.backward(loss_steps, mask)[0] / self.batch

    def gradients(self, loss_steps: int, mask: tuple[int, int] | None = None) -> dict[str, np.ndarray]:
        """dJ/d(parameter), whole tables, copied."""
        _, found = self.backward(loss_steps, mask)
        result = {name: value.copy() for name, value in found.dense.items()}
        for name, (tokens, rows) in found.rows.items():
            result[name] = np.zeros_like(self.network.named[name])
            result[name][tokens] = rows
        return result


def activation_of(settings: Config) -> str:
    """f of an Elman network; the other cells have no kink."""
    cell = settings.model.cell
    return cell.activation if isinstance(cell, Elman) else "tanh"


def smooth_case(settings: Config, **arguments: Any) -> Case:
    """A case in which no unit is near relu's kink."""
    for seed in range(300):
        case = Case(settings, seed=seed, **arguments)
        if activation_of(settings) != "relu" or case.distance_from_kinks() > 0.01:
            return case
    raise AssertionError("no seed keeps all units away from the kink")


def checked(case: Case, loss_steps: int) -> GradientCheck:
    """What ``rnnlm gradcheck`` finds on the case's window."""
    work = check.check(case.network, Window(case.inputs, case.targets, case.reset, case.states, loss_steps, 0))
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: GradientCheck = end.value
            return found
