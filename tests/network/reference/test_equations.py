"""The equations, one by one, against sums written out; the window's loss against the oracle."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from networks import Case, config

from rnnlm.gradients.check import differences
from rnnlm.gradients.window import Window
from rnnlm.network.reference import equations
from rnnlm.network.reference import loss as plain

ACTIVATIONS = ("sigmoid", "tanh", "relu")
GENERATOR = np.random.default_rng(5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_f_and_its_derivative(activation: str) -> None:
    z = np.array([-700.0, -3.0, -0.4, 0.3, 2.0, 700.0])
    h = equations.f(z, activation)
    np.testing.assert_allclose(h, oracle.ACTIVATIONS[activation](z), rtol=1e-13, atol=1e-300)
    numeric = [differences.central(lambda by, i=i: float(equations.f(z + by, activation)[i])) for i in range(z.size)]
    np.testing.assert_allclose(equations.f_prime(h, activation), numeric, atol=1e-11)
    exact = equations.f(z[1:5] + 1e-30j, activation).imag / 1e-30
    np.testing.assert_allclose(equations.f_prime(h[1:5], activation), exact, rtol=1e-14)


def test_softmax_of_large_numbers() -> None:
    z = np.array([[1000.0, 999.0, -1000.0]])
    np.testing.assert_allclose(equations.softmax(z), [[1 / (1 + np.exp(-1)), 1 / (1 + np.e), 0]], rtol=1e-14)


def test_delta2_is_the_derivative_of_the_loss() -> None:
    z, y = GENERATOR.normal(size=(1, 5)), np.eye(1, 5, 2)

    def J(by: float, j: int) -> float:
        moved = z.copy()
        moved[0, j] += by
        return equations.J(equations.softmax(moved), y)

    numeric = [[differences.central(lambda by, j=j: J(by, j)) for j in range(5)]]
    np.testing.assert_allclose(equations.delta2(equations.softmax(z), y), numeric, atol=1e-11)


def test_rows_are_summed_where_a_weight_is_shared() -> None:
    left, delta = GENERATOR.normal(size=(4, 3)), GENERATOR.normal(size=(4, 2))
    one_by_one = sum(np.outer(left[t], delta[t]) for t in range(4))
    np.testing.assert_allclose(equations.dJ_dweights(left, delta), one_by_one, rtol=1e-14)
    assert equations.dJ_dweights(left[0], delta[0]).shape == (3, 2)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("layers", "tie", "dropout"), [(1, False, 0.0), (3, True, 0.0), (2, False, 0.4)])
def test_the_plain_loss_is_the_oracles_and_the_kernels(
    activation: str, layers: int, tie: bool, dropout: float
) -> None:
    case = Case(config(activation, layers=layers, tie=tie, dropout=dropout))
    mask = (3, 4) if dropout else None
    masks = case.network.masks(case.inputs, mask) if mask else None
    named = None
    if masks:
        named = {"embedding": masks.up[0], **{f"hidden.{l}": mask for l, mask in enumerate(masks.up[1:])}}
    window = Window(case.inputs, case.targets, case.reset, case.states, 4, 0)
    found = plain.loss(case.network, case.network.named, window.read, window.targets, 4, masks)
    wanted = oracle.loss(case.network.named, case.inputs, case.targets, case.states, activation, 4, case.reset, named)
    assert found == pytest.approx(wanted, rel=1e-13)
    assert case.loss(4, mask) == pytest.approx(wanted, rel=1e-13)
    assert case.network.loss(case.forward(mask), case.targets, 4) / 3 == pytest.approx(wanted, rel=1e-13)


def test_central_differences_are_of_fourth_order() -> None:
    errors = [abs(differences.central(lambda by: float(np.exp(1 + by)), step) - np.e) for step in (0.1, 0.05)]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.1)
