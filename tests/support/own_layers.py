"""A recurrent cell and an output layer that rnnlm does not have, in plain NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlm.kernels.workspace import Context
from rnnlm.network.protocols import (
    Array,
    Arrays,
    Axis,
    Cell,
    CellGradients,
    Draw,
    Initializer,
    Inputs,
    Objective,
    OutputLayer,
    OutputLoss,
    Rows,
    Scores,
    Shapes,
)


class Trace(NamedTuple):
    h: Array  # T x B x D_h
    previous: Array  # T x B x D_h


@dataclass(frozen=True)
class Diagonal(Cell[Trace, Arrays]):
    """h(t) = tanh(w o h(t-1) + e(t) I): every unit sees itself alone."""

    d: int
    D_h: int

    @property
    def recurrent(self) -> tuple[str, ...]:
        return ("w",)

    @property
    def projection(self) -> int:
        return self.D_h

    def multiplications(self, distinct: int, places: int) -> int:
        return self.d * self.D_h * distinct

    def shapes(self) -> Shapes:
        return {"I": (Axis(self.d, "d"), Axis(self.D_h, "D_h")), "w": (Axis(self.D_h, "D_h"),)}

    def init(self, generator: np.random.Generator, initializer: Initializer | None = None) -> Arrays:
        return {"I": generator.normal(0, 0.5, (self.d, self.D_h)), "w": generator.uniform(-0.9, 0.9, self.D_h)}

    def forward(self, parameters: Arrays, inputs: Inputs, context: Context) -> Trace:
        projected, state = (inputs.e @ parameters["I"])[inputs.read], inputs.state
        h, previous = np.empty_like(projected), np.empty_like(projected)
        for t in range(len(h)):
            previous[t] = np.where(inputs.reset[t][:, None], inputs.initial, state)
            state = h[t] = np.tanh(parameters["w"] * previous[t] + projected[t])
        return Trace(h, previous)

    def backward(
        self, parameters: Arrays, gradients: Arrays, inputs: Inputs, trace: Trace, dh: Array, context: Context
    ) -> CellGradients:
        later, dz = np.zeros_like(inputs.state), np.empty_like(dh)
        for t in range(len(dh) - 1, -1, -1):
            dz[t] = (dh[t] + later) * (1 - trace.h[t] ** 2)
            later = np.where(inputs.reset[t][:, None], 0, dz[t] * parameters["w"])
        by_input = np.zeros((len(inputs.e), self.D_h), dh.dtype)
        np.add.at(by_input, inputs.read, dz)
        gradients["w"][:] = (dz * trace.previous).sum(axis=(0, 1))
        gradients["I"][:] = inputs.e.T @ by_input
        return CellGradients(by_input @ parameters["I"].T, later)

    def pack(self, parameters: Arrays, context: Context) -> Arrays:
        return parameters

    def project(self, packed: Arrays, e: Array, projected: Array, threads: int) -> None:
        projected[:] = e @ packed["I"]

    def step(self, packed: Arrays, projected: Array, state: Array, new: Array, threads: int) -> Array:
        new[:] = np.tanh(packed["w"] * state + projected)
        return new


def diagonal_step(cell: Diagonal, p: Arrays, before: Array, e: Array) -> Array:
    """The reference implementation of `Diagonal`."""
    return np.asarray(np.tanh(p["w"] * before + e @ p["I"]))


@dataclass(frozen=True)
class Bigram(OutputLayer[Arrays]):
    """y^(t) = softmax(h(t) U + B[x] - log n), x: the token before, n: the tokens' counts. It asks for the last token,
    its B has a gradient by rows, and its table of counts is not trained."""

    D_h: int
    V: int

    @property
    def history(self) -> int:
        return 1

    @property
    def sparse(self) -> tuple[str, ...]:
        return ("B",)

    def shapes(self) -> Shapes:
        V = Axis(self.V, "V")
        return {"U": (Axis(self.D_h, "D_h"), V), "B": (V, V)}

    def init(self, dtype: DTypeLike, generator: np.random.Generator) -> Arrays:
        return {name: generator.normal(0, 0.5, shape).astype(dtype) for name, shape in self.shapes().items()}

    def tables(self, counts: NDArray[np.int64], classes: NDArray[np.int32] | None = None) -> Arrays:
        return {"counts": counts}

    def scores(self, parameters: Arrays, rows: Rows, context: Context, details: bool = False) -> Scores:
        log_y, each = bigram_log_y_hat(self, parameters, rows.h, rows.history), np.arange(len(rows.h))
        own = log_y[each, rows.targets].astype(np.float64)
        if not details:
            return Scores.zeros(len(own))._replace(log_probability=own)
        rank, entropy = 1 + (log_y > own[:, None]).sum(axis=1), -(np.exp(log_y) * log_y).sum(axis=1)
        return Scores(own, rank, entropy, log_y.argmax(axis=1), log_y.max(axis=1), np.zeros(len(own)))

    def backward(
        self, parameters: Arrays, gradients: Arrays, rows: Rows, objective: Objective, dh: Array, context: Context
    ) -> OutputLoss:
        delta2 = np.exp(bigram_log_y_hat(self, parameters, rows.h, rows.history))
        delta2[np.arange(len(delta2)), rows.targets] -= 1
        delta2 *= objective.scale
        gradients["U"][:] = rows.h.T @ delta2
        dh[:] = delta2 @ parameters["U"].T
        assert rows.history is not None
        tokens, place = np.unique(rows.history[:, 0], return_inverse=True)
        dB = np.zeros((len(tokens), self.V), delta2.dtype)
        np.add.at(dB, place, delta2)
        return OutputLoss(self.loss(parameters, rows, objective, context), rows={"B": (tokens, dB)})

    def pack(self, parameters: Arrays, context: Context) -> Arrays:
        return parameters

    def log_distribution(
        self, packed: Arrays, h: Array, history: NDArray[np.int32] | None, threads: int
    ) -> NDArray[np.float64]:
        return np.asarray(bigram_log_y_hat(self, packed, h, history), np.float64)

    def draw(
        self, packed: Arrays, h: Array, history: NDArray[np.int32] | None, how: Draw, threads: int
    ) -> NDArray[np.int32]:
        own = self.log_distribution(packed, h, history, threads)
        log_y = own.copy()
        if how.excluded is not None:
            log_y[:, how.excluded] = -np.inf
        if how.temperature == 0:
            chosen = log_y.argmax(axis=1)
        else:
            p = np.exp((log_y - log_y.max(axis=1, keepdims=True)) / how.temperature).cumsum(axis=1)
            chosen = (p <= how.uniforms[:, None] * p[:, -1:]).sum(axis=1)
        if how.log_probability is not None:
            how.log_probability[:] = own[np.arange(len(own)), chosen]
        return chosen.astype(np.int32)

    def multiplications(self) -> int:
        return self.D_h * self.V

    def held_bytes(self, rows: int, itemsize: int, threads: int) -> int:
        return rows * self.V * itemsize


def bigram_log_y_hat(layer: Bigram, p: Arrays, h: Array, history: NDArray[np.int32] | None) -> Array:
    """The reference implementation of `Bigram`."""
    assert history is not None
    z = h @ p["U"] + p["B"][history[..., 0]] - np.log(p["counts"]).astype(h.real.dtype)
    z = z - z.real.max(axis=-1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=-1, keepdims=True)))
