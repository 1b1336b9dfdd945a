"""The backward reference of each cell's step against complex steps through its forward reference."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from every_cell import every_cell
from networks import config

from rnnlm.network import build, cells
from rnnlm.network.reference import cells as forward
from rnnlm.network.reference import layer_norm
from rnnlm.network.reference.cells_backward import BACKWARD, Back, Step

LOSSES = 3
SMALL = 1e-40


class OneStep:
    """A cell with random weights, one step of one stream, and a row dJ/d(state) for each of three losses."""

    def __init__(self, model: dict[str, Any]):
        generator = np.random.default_rng(3)
        self.cell = build.cells(config(model=model))[0]
        self.p = {name: generator.normal(0, 0.7, shape) for name, shape in self.cell.shapes().items()}
        self.before = generator.normal(0, 0.6, (1, self.cell.state_size))
        self.e = generator.normal(0, 1, (1, self.cell.d))
        self.d_state = generator.normal(0, 1, (LOSSES, self.cell.state_size))

    def forward(self, p: dict[str, Any] | None = None, before: Any = None, e: Any = None) -> Any:
        given = self.p if p is None else p
        step = forward.STEPS[type(self.cell)]
        return step(self.cell, given, self.before if before is None else before, self.e if e is None else e)

    def back(self) -> Back:
        reference = BACKWARD[type(self.cell)]
        return reference.back(self.cell, self.p, Step(self.before, self.e, self.forward()), self.d_state)


def test_there_is_a_backward_reference_for_every_cell() -> None:
    assert set(BACKWARD) == set(forward.STEPS) == set(cells.CELLS.values())


@every_cell
def test_what_a_step_sends_back_is_the_derivative_of_the_step(model: dict[str, Any]) -> None:
    one = OneStep(model)
    found = one.back()
    for name, analytic in (("before", found.d_before), ("e", found.de)):
        given = getattr(one, name)
        for j in range(given.size):
            moved = given.astype(complex)
            moved[0, j] += 1j * SMALL
            exact = one.d_state @ (one.forward(**{name: moved}).imag[0] / SMALL)
            np.testing.assert_allclose(analytic[:, j], exact, rtol=1e-12, atol=1e-14)


@every_cell
def test_the_blocks_cover_every_weight_once_with_its_derivative(model: dict[str, Any]) -> None:
    one = OneStep(model)
    found = one.back()
    gradients = {name: np.full((LOSSES, *value.shape), np.nan) for name, value in one.p.items()}
    names = []
    for block in BACKWARD[type(one.cell)].blocks(one.cell):
        delta = found.delta[block.delta]
        part = delta if block.left is None else np.einsum("i,nj->nij", found.left[block.left][0], delta)
        for n in range(LOSSES):
            assert np.isnan(gradients[block.parameter][n][block.place]).all()
            gradients[block.parameter][n][block.place] = part[n]
        names.append(block.name)
    assert len(set(names)) == len(names)
    for name, value in one.p.items():
        exact = np.zeros((LOSSES, *value.shape))
        for place in np.ndindex(value.shape):
            moved = {other: array.astype(complex) for other, array in one.p.items()}
            moved[name][place] += 1j * SMALL
            exact[(slice(None), *place)] = one.d_state @ (one.forward(p=moved).imag[0] / SMALL)
        np.testing.assert_allclose(gradients[name], exact, rtol=1e-12, atol=1e-14)


@every_cell
def test_the_carried_factor_is_the_states_own_path(model: dict[str, Any]) -> None:
    """With weights of 0 where a gate reads the state, nothing but the carried factor is left of the Jacobian."""
    one = OneStep(model)
    reference = BACKWARD[type(one.cell)]
    for name in {"H", "P"} & set(one.p):
        one.p[name][:] = 0
    one.d_state = np.eye(one.cell.state_size)
    found = one.back()
    if reference.carried is None:
        assert found.carried is None
        return
    part = reference.states(one.cell)[reference.carried[1]]
    assert found.carried is not None
    np.testing.assert_allclose(found.d_before[part, part], np.diag(found.carried), rtol=1e-12)


@every_cell
def test_the_parts_of_the_state_cover_it(model: dict[str, Any]) -> None:
    one = OneStep(model)
    parts = list(BACKWARD[type(one.cell)].states(one.cell).values())
    assert [parts[0].start, parts[-1].stop] == [0, one.cell.state_size]
    assert all(first.stop == second.start for first, second in itertools.pairwise(parts))


def test_layer_normalisation_backward() -> None:
    generator = np.random.default_rng(1)
    p = {"g": generator.normal(size=6), "b": generator.normal(size=6)}
    h, d_up = generator.normal(size=(1, 6)), generator.normal(size=(LOSSES, 6))
    found = layer_norm.backward(p, h, d_up)
    for j in range(6):
        moved = h.astype(complex)
        moved[0, j] += 1j * SMALL
        exact = d_up @ (layer_norm.forward(p, moved).imag[0] / SMALL)
        np.testing.assert_allclose(found[:, j], exact, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_every_activation_of_an_elman_step(activation: str) -> None:
    one = OneStep({"cell": {"type": "elman", "activation": activation}})
    found = one.back()
    for j in range(one.before.size):
        moved = one.before.astype(complex)
        moved[0, j] += 1j * SMALL
        exact = one.d_state @ (one.forward(before=moved).imag[0] / SMALL)
        np.testing.assert_allclose(found.d_before[:, j], exact, rtol=1e-12, atol=1e-14)
