"""``rnnlm derive``: every quantity passes its check, the checks can fail, and the numbers are the oracle's."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import oracle
import pytest
from networks import Case, config
from one_step import ONE_STEP

from rnnlm.errors import InputError
from rnnlm.gradients import commands
from rnnlm.gradients.derivation import scalar
from rnnlm.gradients.derivation import vector as derive
from rnnlm.gradients.derivation.quantities import Checker
from rnnlm.gradients.derivation.records import Quantity, Verdict
from rnnlm.gradients.window import Window
from rnnlm.network.reference import equations

ACTIVATIONS = ("sigmoid", "tanh", "relu")


def step(case: Case) -> Window:
    return Window(case.inputs, case.targets, case.reset, case.states, 1, 0)


def quantities(walk: object) -> list[Quantity]:
    return [record for record in walk if isinstance(record, Quantity)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("layers", "tie"), [(1, False), (1, True), (3, False)])
@pytest.mark.parametrize("edge", [0, 3])
def test_every_quantity_passes_and_is_the_oracles(activation: str, layers: int, tie: bool, edge: int) -> None:
    case = Case(config(activation, layers=layers, tie=tie), vocabulary=9, steps=1, batch=1, seed=3, resets=False)
    found = quantities(derive.vector(case.network, step(case), edge))
    assert all(one.passed for one in found)
    assert sum(one.against == "central differences" for one in found) >= 15
    gradients, states = oracle.gradients(case.network.named, case.inputs, case.targets, case.states, activation, 1)
    by_name = {one.name: one.value for one in found}
    for layer in range(layers):
        mark = "" if layers == 1 else f"[{layer}]"
        for name in ("H", "I", "b1"):
            wanted = gradients[f"cell.{layer}.{name}"]
            np.testing.assert_allclose(by_name[f"dJ/d{name}{mark}"].reshape(wanted.shape), wanted, atol=1e-13)
        np.testing.assert_allclose(by_name[f"dJ/dh{mark}(t-1)"], states[layer], atol=1e-13)
    np.testing.assert_allclose(by_name["dJ/db2"][0], gradients["output.b2"], atol=1e-13)
    if not tie:
        np.testing.assert_allclose(by_name["dJ/dU"], gradients["output.U"], atol=1e-13)
        np.testing.assert_allclose(
            by_name["dJ/de(t)"][0], gradients["embedding.table"][case.inputs[0, 0]], atol=1e-13
        )


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("seed", range(4))
def test_the_scalar_network_passes(activation: str, seed: int) -> None:
    found = quantities(commands.derive_scalar(activation, seed))
    assert all(one.passed for one in found)
    by_rule = {(one.name, one.rule): float(one.value) for one in found if one.value.ndim == 0}
    f1 = by_rule["ds(1)/db|1", "f'(z(1)), without w: b at step 1 alone"]
    w = next(float(one.value) for one in found if one.name == "w")
    assert by_rule["ds(1)/ds(0)", "w f'(z(1))"] == pytest.approx(w * f1)
    both = by_rule["dJ/dw|1", "delta(1) s(0)"] + by_rule["dJ/dw|2", "delta(2) s(1)"]
    assert by_rule["dJ/dw", "delta(2) s(1) + delta(1) s(0)"] == pytest.approx(both)


CLOSED_FORMS = {
    "sigmoid": (lambda z: 1 / (1 + math.exp(-z)), lambda z: math.exp(-z) / (1 + math.exp(-z)) ** 2),
    "tanh": (math.tanh, lambda z: 1 / math.cosh(z) ** 2),
    "relu": (lambda z: max(z, 0.0), lambda z: float(z > 0)),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("seed", range(4))
def test_the_scalar_network_is_its_closed_form(activation: str, seed: int) -> None:
    found = {one.name: one.value for one in quantities(commands.derive_scalar(activation, seed))}
    s0, e1, e2, w, v, b = (float(found[name]) for name in ("s(0)", "e(1)", "e(2)", "w", "v", "b"))
    u, c, y = (found[name][0].tolist() for name in ("u", "c", "y"))
    f, f_prime = CLOSED_FORMS[activation]
    z1 = w * s0 + v * e1 + b
    z2 = w * f(z1) + v * e2 + b
    powers = [math.exp(f(z2) * u_j + c_j) for u_j, c_j in zip(u, c, strict=True)]
    ds2 = math.fsum((power / math.fsum(powers) - y_j) * u_j for power, y_j, u_j in zip(powers, y, u, strict=True))
    through = w * f_prime(z1)
    closed = {
        "dJ/dw": ds2 * f_prime(z2) * (f(z1) + through * s0),
        "dJ/dv": ds2 * f_prime(z2) * (e2 + through * e1),
        "dJ/db": ds2 * f_prime(z2) * (1 + through),
    }
    for name, value in closed.items():
        assert float(found[name].squeeze()) == pytest.approx(value, rel=1e-14, abs=1e-14), name


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_small_network_passes(activation: str) -> None:
    found = quantities(commands.derive_small(activation, 2, 3, 4, 1, 3))
    assert all(one.passed for one in found)
    table = next(one for one in found if one.name == "e(t)").value
    assert (table == np.round(table, 2)).all(), "numbers to be redone by hand have few decimals"


@pytest.mark.parametrize("hidden", [2, 4, 5])
def test_the_third_order_tensor(hidden: int) -> None:
    found = quantities(commands.derive_small("tanh", 2, hidden, 4, 1, 0))
    parts = [one for one in found if one.name.startswith("dz1_")]
    assert len(parts) == (hidden if hidden <= 4 else 0)
    by_name = {one.name: one.value for one in found}
    before, delta1 = by_name["h(t-1)"][0], by_name["dJ/dz1(t)"][0]
    total = np.zeros((hidden, hidden))
    for k, part in enumerate(parts):
        assert part.passed
        assert part.against == "central differences"
        for i, j in np.ndindex(hidden, hidden):
            assert part.value[i, j] == (before[i] if j == k else 0)
        total += delta1[k] * part.value
    if parts:
        np.testing.assert_allclose(total, np.outer(before, delta1), rtol=0, atol=1e-16)
        (contracted,) = [one for one in found if one.rule == "sum_k delta1_k(t) dz1_k(t)/dH"]
        assert contracted.passed
        np.testing.assert_allclose(contracted.value, total, rtol=0, atol=1e-16)


@pytest.mark.parametrize("wrong", ["f_prime", "delta2", "dJ_dh_from_later", "dJ_de", "dJ_dh_from_output"])
@pytest.mark.parametrize("walk", ["vector", "scalar"])
def test_a_wrong_equation_is_marked(wrong: str, walk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if walk == "scalar" and wrong.startswith("dJ_"):
        pytest.skip("the scalar walk writes these products out")
    real = getattr(equations, wrong)
    monkeypatch.setattr(equations, wrong, lambda *arguments: 1.01 * real(*arguments))
    if walk == "vector":
        found = quantities(commands.derive_small("tanh", 2, 3, 4, 1, 3))
    else:
        found = quantities(commands.derive_scalar("tanh", 1))
    assert not all(one.passed for one in found)


def test_a_forward_pass_that_is_not_the_kernels_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equations, "f", lambda z, activation: np.tanh(z) * 1.000001)
    case = Case(config("tanh"), steps=1, batch=1, resets=False)
    walk = quantities(derive.vector(case.network, step(case)))
    assert not next(one for one in walk if one.name == "h(t)").passed


def test_a_large_matrix_is_checked_where_it_is_shown() -> None:
    x = np.arange(200.0).reshape(10, 20)
    asked = []

    def loss(at: np.ndarray) -> object:
        asked.append(np.argwhere(at != 0))
        return (at * x).sum()

    made = Checker(3).derivative("d", "", "", x, loss, np.zeros((10, 20)))
    assert made.passed
    assert {tuple(place[0]) for place in asked if len(place)} == {
        (i, j) for i in (0, 1, 2, 7, 8, 9) for j in (0, 1, 2, 17, 18, 19)
    }
    wrong = x.copy()
    wrong[9, 19] += 1e-3
    assert not Checker(3).derivative("d", "", "", wrong, loss, np.zeros((10, 20))).passed
    wrong = x.copy()
    wrong[5, 10] += 1e-3
    assert Checker(3).derivative("d", "", "", wrong, loss, np.zeros((10, 20))).passed, "not shown, not checked"
    assert not Checker(0).derivative("d", "", "", wrong, loss, np.zeros((10, 20))).passed


def test_the_scalar_walk_takes_any_vocabulary() -> None:
    case = Case(config("tanh", d=1, hidden=1), vocabulary=7, steps=2, batch=1, resets=False)
    window = Window(case.inputs, case.targets, case.reset, case.states, 1, 0)
    assert all(one.passed for one in quantities(scalar.scalar(case.network, window)))


EXTREMES = {
    "a saturated unit": ("cell", 1000.0, None),
    "a loss near 0": ("output", 60.0, True),
    "probabilities that underflow": ("output", 5000.0, False),
    "all of it": ("", 300.0, True),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("scalar_walk", [False, True])
def test_right_derivatives_pass_where_central_differences_show_nothing(
    activation: str, extreme: str, layers: int, scalar_walk: bool
) -> None:
    part, scale, likely = EXTREMES[extreme]
    size = {"d": 1, "hidden": 1} if scalar_walk else {}
    settings = config(activation, layers=1 if scalar_walk else layers, **size)
    steps = 2 if scalar_walk else 1
    case = Case(settings, vocabulary=9, steps=steps, batch=1, seed=3, resets=False)
    for name, value in case.network.named.items():
        value *= scale if name.startswith(part) else 1
    if likely is not None:
        y_hat = case.network.log_distribution(case.forward())
        case.targets[-1] = y_hat.argmax(1) if likely else y_hat.argmin(1)
    walk = scalar.scalar(case.network, step(case)) if scalar_walk else derive.vector(case.network, step(case))
    found = quantities(walk)
    assert [(one.name, one.against, one.error) for one in found if not one.passed] == []
    assert all(np.isfinite(one.value).all() for one in found)


def test_the_complex_step_decides_where_central_differences_are_only_rounding() -> None:
    noisy = 1e12
    made = Checker(3).along("d", "", 3.0, lambda x: noisy + 3 * x)
    assert made.passed
    assert made.against.startswith("the complex step")
    assert not Checker(3).along("d", "", 3.1, lambda x: noisy + 3 * x).passed


NUMBERS = ONE_STEP.format(activation="sigmoid")


def test_own_numbers(tmp_path: Path) -> None:
    """Against sums written out with the numbers of the file alone."""
    (tmp_path / "numbers.yaml").write_text(NUMBERS)
    walk = list(commands.derive_numbers(tmp_path / "numbers.yaml"))
    assert Verdict.of(walk).passed
    found = {one.name: one.value for one in quantities(walk)}
    e, h0, U = [1, 0.5], [0.1, 0.2], [[1, -1, 0.5], [0.5, 0, 2]]
    z1 = [0.5 * 0.1 + 0.7 * 0.2 + 0.1 * 1 + 0.3 * 0.5, -0.6 * 0.1 + 0.8 * 0.2 + 0.2 * 1 + 0.4 * 0.5 + 0.1]
    h = [1 / (1 + math.exp(-z)) for z in z1]
    powers = [math.exp(h[0] * U[0][j] + h[1] * U[1][j]) for j in range(3)]
    delta2 = [power / math.fsum(powers) - (j == 2) for j, power in enumerate(powers)]
    delta1 = [sum(delta2[j] * U[i][j] for j in range(3)) * h[i] * (1 - h[i]) for i in range(2)]
    assert found["J(t)"] == pytest.approx(-math.log(powers[2] / math.fsum(powers)), rel=1e-14)
    for name, left, right in (("dJ/dU", h, delta2), ("dJ/dH", h0, delta1), ("dJ/dI", e, delta1)):
        np.testing.assert_allclose(found[name], np.outer(left, right), rtol=0, atol=1e-14, err_msg=name)


def test_own_numbers_of_one_unit(tmp_path: Path) -> None:
    """A bare number is a row or a matrix of one; what is left out is 0."""
    (tmp_path / "numbers.yaml").write_text("e: 2\nI: 0.5\nH: 0.3\nU: [[1, 2]]\ntarget: 0\n")
    found = {one.name: one.value for one in quantities(commands.derive_numbers(tmp_path / "numbers.yaml"))}
    assert float(found["h(t)"].squeeze()) == pytest.approx(math.tanh(1), rel=1e-15)
    assert not found["dJ/dH"].any()


@pytest.mark.parametrize(
    ("line", "other", "message"),
    [
        (
            "H:",
            "H: [[1, 2, 3], [4, 5, 6]]",
            r"H: found 2 x 3; must be D_h x D_h = 2 x 2, where d = 2 .* D_h = 2 .* = 3",
        ),
        ("h0:", "h0: [1]", "h0: found 1 x 1; must be 1 x D_h = 1 x 2"),
        ("I:", "I: [[1, 2]]", "I: found 1 x 2; must be d x D_h = 2 x 2"),
        ("b1:", "b1: [1, 2, 3]", "b1: found 1 x 3; must be 1 x D_h = 1 x 2"),
        ("U:", "U: [[1, 2], [3]]", "U: found rows of 1 and of 2 numbers; all must be alike"),
        ("U:", "U: [[1, 2, 3]]", r"U: found 1 x 3; must be D_h x .V. = 2 x 3"),
        ("target:", "target: 3", "target: found 3; must be one of U's columns, 0 to 2"),
        ("e:", "q: [1, 2]", r"numbers.yaml:2:1: q: unknown key; there are e, h0, I, H"),
        ("e:", "", r"numbers.yaml:1:1: e: is not given"),
        ("e:", "e: [one, 2]", r"numbers.yaml:2:5: e.0: found 'one'; must be a valid number"),
        ("activation:", "activation: swish", "activation: found 'swish'; must be 'tanh', 'sigmoid' or 'relu'"),
    ],
)
def test_own_numbers_that_do_not_fit(line: str, other: str, message: str, tmp_path: Path) -> None:
    lines = [other if one.startswith(line) else one for one in NUMBERS.splitlines()]
    (tmp_path / "numbers.yaml").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=message) as caught:
        commands.derive_numbers(tmp_path / "numbers.yaml")
    assert "\n" not in str(caught.value)
