"""``rnnlm derive --check``: right formulas pass, mistakes are named, and what cannot be read is one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import oracle
import pytest
from one_step import ONE_STEP

from rnnlm.errors import InputError
from rnnlm.gradients import commands
from rnnlm.gradients.derivation import own_numbers
from rnnlm.gradients.derivation.formula import check, names, parser
from rnnlm.gradients.derivation.records import FormulaCheck
from rnnlm.gradients.derivation.unrolled import Unrolled

# The second textbook case beside ONE_STEP, as a student types it: two steps of a scalar network with the loss at the
# end. Several steps besides.
SCALAR = """\
activation: {activation}
s(-1): 0.5
x0: 1
x1: -0.4
w: 0.8
v: 0.6
u: [0.9, -0.7]
target: 1
"""
STEPS = ONE_STEP.replace("[1, 0.5]", "[[1, 0.5], [0.2, -0.3], [0, 1]]").replace("target: 2", "targets: [2, 0, 1]")
TEXTS = {"one step": ONE_STEP, "scalar": SCALAR, "steps": STEPS}
ACTIVATIONS = ("sigmoid", "tanh", "relu")


def checked(case: str, formula: str, tmp_path: Path, activation: str = "sigmoid") -> FormulaCheck:
    (tmp_path / "numbers.yaml").write_text(TEXTS[case].format(activation=activation))
    (found,) = commands.check_numbers([formula], tmp_path / "numbers.yaml")
    return found


RIGHT = {
    "one step": [
        "dJ/dz2 = y^ - y",
        "dJ/dU = h(1)' delta2(1)",
        "dJ/dU = h(t)^T (y^(t) - y(t))",
        "dJ/dh(1) = (y^ - y) U'",
        "dJ/dz1(t) = dJ/dh(t) o f'(z1(t))",
        "delta1 = delta2 U' * f'(z1)",
        "dJ/dH = h(0)' delta1",
        "dJ/dH = h(t-1)' [ (y^(t) - y(t)) U' ∘ f'(z1(t)) ]",
        "∂J/∂I = e(1)ᵀ δ1(1)",
        "dJ/db1 = delta_1(1)",
        "dJ/dh0 = delta1 @ H^T",
        "dJ/de = delta1 I'",
        "dh(1)/dh(0) = H diag(f'(z1(1)))",
        "z1 = h(0) H + e I + b1",
        "y^ = exp(z2) / (exp(z2) (z2^0)')",
        "J = -log y^ y'",
    ],
    "scalar": [
        "ds(0)/ds(-1) = w f'(z(0))",
        "ds0/db|0 = f'(z0)",
        "dJ/ds(1) = (y^ - y) u'",
        "dJ/dw = dJ/ds(1) f'(z(1)) [ s(0) + w f'(z(0)) s(-1) ]",
        "dJ/dw = delta(1) s(0) + delta(0) s(-1)",
        "dJ/dw = sum_t delta(t) s(t-1)",
        "dJ/dw|0 = delta(0) s(-1)",
        "dJ/dv = delta(1) * x1 + delta(0) * x_0",
        "dJ/db = delta1 + delta0",
        "dJ/du = s(1) delta2",
        "delta(0) = delta(1) w f'(z(0))",
        "z(0) = w s(-1) + v x(0) + b",
    ],
    "steps": [
        "dJ/dH = sum_t h(t-1)' delta1(t)",
        "dJ/dH = h(0)' delta1(1) + h(1)' delta1(2) + h(2)' delta1(3)",
        "dJ/dH = sum(t=1..2) h(t-1)' delta1(t) + h_{2}' delta1(T)",
        "dJ/dh(2) = delta2(2) U' + delta1(3) H'",
        "dJ/dh(3) = delta2(3) U' + delta1(4) H'",
        "dJ/dU = sum_t h(t)' (y^(t) - y(t))",
        "dJ(2)/dH = sum(k=1..2) h(k-1)' dJ(2)/dz1(k)",
        "dJ/dH|2 = h(1)' delta1(2)",
        "dh(3)/dh(1) = H diag(f'(z1(2))) H diag(f'(z1(3)))",
        "dJ/db2 = Σ_t delta2(t)",
        "J = - sum_t y(t) (log y^(t))'",
    ],
}  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("case", "formula"), [(case, one) for case, found in RIGHT.items() for one in found])
def test_right_formulas(case: str, formula: str, activation: str, tmp_path: Path) -> None:
    found = checked(case, formula, tmp_path, activation)
    assert (found.passed, found.mistake, found.against != "") == (True, "", True)
    assert found.error < 1e-9


F_OF = {"sigmoid": "h(1) o (1 - h(1))", "tanh": "1 - h(1)^2"}


@pytest.mark.parametrize("activation", F_OF)
def test_the_derivative_of_the_activation_written_out(activation: str, tmp_path: Path) -> None:
    right, wrong = F_OF[activation], next(rule for name, rule in F_OF.items() if name != activation)
    assert checked("one step", f"dJ/dz1 = dJ/dh o ({right})", tmp_path, activation).passed
    found = checked("one step", f"dJ/dz1 = dJ/dh o ({wrong})", tmp_path, activation)
    assert not found.passed
    assert found.mistake.endswith(f"; f is {activation} here")
    assert found.corrected == "dJ/dz1 = dJ/dh o (f'(z1(1)))"


# (case, formula, what the mistake says, the formula without it)
WRONG = [
    # the sign
    ("one step", "dJ/dz2 = y - y^", "the sign: it is the negative", "dJ/dz2 = -(y - y^)"),
    ("one step", "dJ/dH = h(0)' ((y - y^) U' o f'(z1))", "the sign", "dJ/dH = -(h(0)' ((y - y^) U' o f'(z1)))"),
    (
        "scalar",
        "dJ/dw = delta(1) s(0) - delta(0) s(-1)",
        "the sign of delta(0) s(-1): + belongs before it, not -",
        "dJ/dw = delta(1) s(0) + delta(0) s(-1)",
    ),
    # a factor
    ("one step", "dJ/dH = 2 h(0)' delta1", "a factor: it is 2 times", "dJ/dH = h(0)' delta1"),
    (
        "steps",
        "dJ/dH = 1/3 sum_t h(t-1)' delta1(t)",
        "a factor: it is 1/3 times",
        "dJ/dH = 3 (1/3 sum_t h(t-1)' delta1(t))",
    ),
    # a transpose
    ("one step", "dJ/dH = delta1' h(0)", "a transpose: it is the transposed", "dJ/dH = h(0)' delta1"),
    ("one step", "dJ/dh(0) = delta1 H", "a transpose is missing: H'", "dJ/dh(0) = delta1 H'"),
    ("steps", "dJ/dh(2) = delta2(2) U' + delta1(3) H", "a transpose is missing: H'", None),
    # f'
    ("one step", "dJ/dH = h(0)' (delta2 U')", "an f' is missing", "dJ/dH = h(0)' ((delta2 U') o f'(z1(1)))"),
    ("one step", "dJ/db1 = delta1 o f'(z1)", "an f' too many: f'(z1)", "dJ/db1 = delta1"),
    ("one step", "dJ/dz1 = dJ/dh o f(z1)", "f(z1): f' belongs there, not f", "dJ/dz1 = dJ/dh o f'(z1)"),
    (
        "scalar",
        "dJ/dw = dJ/ds(1) [ s(0) + w f'(z(0)) s(-1) ]",
        "an f' is missing: f'(z(1)) belongs beside dJ/ds(1)",
        "dJ/dw = (dJ/ds(1) o f'(z(1))) [ s(0) + w f'(z(0)) s(-1) ]",
    ),
    # w
    ("scalar", "ds(0)/ds(-1) = f'(z(0))", "the factor w is missing beside f'(z(0))", "ds(0)/ds(-1) = (f'(z(0)) w)"),
    (
        "scalar",
        "dJ/dw = dJ/ds(1) f'(z(1)) [ s(0) + f'(z(0)) s(-1) ]",
        "the factor w is missing",
        "dJ/dw = dJ/ds(1) f'(z(1)) [ s(0) + (f'(z(0)) w) s(-1) ]",
    ),
    ("scalar", "dJ/db = delta(1) + w delta(0)", "the factor w is one too many", "dJ/db = delta(1) + delta(0)"),
    # the sum over time
    ("scalar", "dJ/dw = delta(1) s(0)", "the sum over time: the part of step 0 is missing, which is dJ/dw|0", ""),
    ("scalar", "ds1/dw = f'(z1) s0", "the part of step 0 is missing, which is ds(1)/dw|0", ""),
    ("steps", "dJ/dH = sum(t=2..T) h(t-1)' delta1(t)", "the part of step 1 is missing, which is dJ/dH|1", ""),
    ("steps", "dJ/dI = e(1)' delta1(1)", "the parts of steps 2 and 3 are missing, which are dJ/dI|2 + dJ/dI|3", ""),
    ("steps", "dJ/dH = sum_t h(t-1)' (delta2(t) U' o f'(z1(t)))", "is followed back over 1 step only", ""),
    (
        "steps",
        "dJ/dh(1) = delta2(1) U'",
        "the term delta1(2) H' is missing",
        "dJ/dh(1) = delta2(1) U' + delta1(2) H'",
    ),
    # the step
    ("one step", "dJ/dU = h(0)' delta2", "the step of h(0): it must be h(1)", "dJ/dU = h(1)' delta2"),
    ("steps", "dJ/dH = sum_t h(t)' delta1(t)", "it must be h(t-1)", "dJ/dH = sum_t h(t-1)' delta1(t)"),
    (
        "scalar",
        "dJ/dw = delta(1) s(1) + delta(0) s(0)",
        "the steps of s: each is one too late",
        "dJ/dw = delta(1) s(0) + delta(0) s(-1)",
    ),
    # + and *
    (
        "scalar",
        "z(0) = w s(-1) v x(0) + b",
        "a product stands where + belongs, between w s(-1) and v",
        "z(0) = w s(-1) + v x(0) + b",
    ),
    (
        "scalar",
        "ds(0)/ds(-1) = w + f'(z(0))",
        "+ stands where",
        "ds(0)/ds(-1) = w o f'(z(0))",
    ),
    # one name for another
    ("one step", "dJ/dH = e' delta1", "e stands where h(0) belongs", "dJ/dH = h(0)' delta1"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "formula", "mistake", "corrected"), WRONG)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mistakes_are_named(
    case: str, formula: str, mistake: str, corrected: str | None, activation: str, tmp_path: Path
) -> None:
    found = checked(case, formula, tmp_path, activation)
    if activation == "relu" and "an f' too many" in mistake:  # 0 and 1 are their own squares
        assert found.passed
        return
    assert not found.passed
    assert mistake in found.mistake
    if corrected is not None:
        assert found.corrected == corrected
    if found.corrected:
        assert checked(case, found.corrected, tmp_path, activation).passed


@pytest.mark.parametrize(
    ("formula", "unfit", "mistake"),
    [
        ("dJ/dH = h(0) delta1", "column 14: (1 x D_h)(1 x D_h) is no product", "a transpose is missing: h(0)'"),
        ("dJ/dI = e' delta2 U' f'(z1)", "is no product", "and its brackets: it must be e' (delta2 U' o f'(z1))"),
        ("dJ/dz1 = delta2 o f'(z1)", "1 x |V| and 1 x D_h are no elementwise product", ""),
        ("dJ/dH = h(0)' delta1 + b1", "D_h x D_h and 1 x D_h cannot be added", ""),
        ("dJ/dH = H^2", "a power of a matrix, D_h x D_h; write out the product", ""),
        ("dJ/dH = h(0)' delta1 / 0", "its value is no finite number", ""),
    ],
)  # fmt: skip
def test_what_has_no_value_is_wrong(formula: str, unfit: str, mistake: str, tmp_path: Path) -> None:
    found = checked("one step", formula, tmp_path)
    assert (found.passed, found.value) == (False, None)
    assert unfit in found.unfit
    assert mistake in found.mistake
    assert found.json()["value"] is None
    if mistake:
        assert checked("one step", found.corrected, tmp_path).passed


def test_two_mistakes_are_not_taken_for_one(tmp_path: Path) -> None:
    found = checked("one step", "dJ/dH = (delta2 U')' e o 3", tmp_path)
    assert (found.passed, found.mistake, found.corrected) == (False, "", "")
    found = checked("scalar", "ds(0)/ds(-1) = -f'(z(0))", tmp_path)
    assert found.mistake == "the factor w is missing beside f'(z(0)); and the sign of the whole"
    assert checked("scalar", found.corrected, tmp_path).passed


@pytest.mark.parametrize(
    ("text", "formula", "mistake"),
    [
        (SCALAR.replace("w: 0.8", "w: 1"), "ds(0)/ds(-1) = f'(z(0))", "the factor w is missing"),
        (SCALAR, "dJ/dv = delta(1) x(1) + delta(0)", "the factor x(0) is missing"),  # x(0) is 1
        (ONE_STEP.replace("h0: [0.1, 0.2]\n", ""), "dJ/dH = 2 h(0)' delta1", "a factor: it is 2 times"),
    ],
)
def test_right_by_chance_is_wrong(text: str, formula: str, mistake: str, tmp_path: Path) -> None:
    (tmp_path / "numbers.yaml").write_text(text.format(activation="tanh"))
    (found,) = commands.check_numbers([formula], tmp_path / "numbers.yaml")
    assert (found.passed, found.by_chance) == (False, True)
    assert mistake in found.mistake


def test_the_values_are_the_oracles(tmp_path: Path) -> None:
    """The formula's value and the right one, against a second network that shares no code."""
    found = checked("one step", "dJ/dH = h(0)' [ ((y^ - y) U') o f'(z1) ]", tmp_path)
    network, window, _ = own_numbers.load(tmp_path / "numbers.yaml")
    padded = dict(network.named)
    padded["embedding.table"] = np.vstack([padded["embedding.table"], np.zeros((2, 2))])
    gradients, _ = oracle.gradients(padded, window.inputs, window.targets, window.states, "sigmoid", 1)
    np.testing.assert_allclose(found.value, gradients["cell.0.H"], rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.right, gradients["cell.0.H"], rtol=0, atol=1e-15)


def test_a_wrong_equation_of_ours_is_no_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a formula is held against is the numeric derivative, not our own equations."""
    monkeypatch.setattr("rnnlm.network.reference.equations.delta2", lambda y_hat, y: 1.01 * (y_hat - y))
    assert not checked("one step", "dJ/dz2 = 1.01 (y^ - y)", tmp_path).passed


@pytest.mark.parametrize(
    ("case", "formula", "message"),
    [
        ("one step", "dJ/dH", "column 6, at the end after 'dJ/dH': write the formula as dJ/dH = ..."),
        ("one step", "dJ/dQ = 1", "column 5, at 'Q = 1' after 'dJ/d': no quantity is called so; there are e(1)"),
        ("one step", "dL/dH = 1", "column 1, at 'dL/dH = 1': no quantity is called L, and the loss is J; there are"),
        ("one step", "dJ/dH = foo(1)", "column 9, at 'foo(1)' after 'dJ/dH = ': no quantity is called foo"),
        ("one step", "dJ/dH = w", "no quantity is called w; there are e(1), h(0) to h(1), H, I, b1, U, b2, z1(1)"),
        ("scalar", "dJ/dH = 1", "there are s(-1) to s(1), x(0) to x(1), w, v, b, u, c, z(0) to z(1), o, y^"),
        ("one step", "dJ/dH = (h(0)' delta1", ") is missing, for the bracket in column 9"),
        ("one step", "dJ/dH = h(0)' delta1)", "column 21, at ')' after \"dJ/dH = h(0)' delta1\": no formula goes on"),
        ("one step", "dJ/dH = h(0)' +", "a name, a number or a bracket belongs here"),
        ("one step", "dJ/dH = h(5)' delta1", "column 9, at \"h(5)' delta1\" after 'dJ/dH = ': there is no h(5)"),
        ("steps", "dJ/dH = h' delta1(1)", "h has a step: h(0) to h(3)"),
        ("steps", "dJ/dH = h(t-1)' delta1(t)", "t is no step here; give its number, or write sum_t ..."),
        ("steps", "dJ/dH = sum(t=1..9) h(t-1)' delta1(t)", "a sum over the steps 1 to 9; there are 1 to 3"),
        ("one step", "dz1/dH = 1", "a row by a matrix has three indices"),
        ("one step", "dJ/dy = 1", "no derivative by this is asked for"),
        ("one step", "dH/dU = 1", "no derivative of this is asked for"),
        ("one step", "H = 1", "it is given, and follows from nothing"),
        ("one step", "2 = 2", "a formula begins with what it is for, as in dJ/dH = ..."),
        ("one step", "dJ/dH = dJ/dH", "the same quantity stands on both sides"),
        ("one step", "dJ/dh|1 = 1", "|t is for a weight that is changed at step t alone"),
        ("one step", "dJ/dH|7 = 1", "there is no step 7; the steps are 1 to 1"),
        ("one step", "dJ/dH = 9**9**9", "powers go from -9 to 9, one at a time"),
        ("one step", "dJ/dH = 9^999999999999", "powers go from -9 to 9, one at a time"),
        ("one step", "dJ/dH = " + "(" * 40 + "1" + ")" * 40, "nested more than 30 deep; write it flatter"),
        ("one step", "dJ/dH = " + "-" * 40 + "1", "nested more than 30 deep; write it flatter"),
        ("one step", "dJ/dH = " + "sum_t " * 40 + "1", "a sum inside a sum inside a sum; two are the most"),
        ("one step", "dJ/dH = " + "1 + " * 200 + "1", "too long; a formula has at most 500 characters"),
        ("one step", "dJ/dH = __import__('os')", "a name, a number or a bracket belongs here"),
        ("one step", "dJ/dH = lambda: 0", "no quantity is called lambda"),
        ("one step", "", "a name, a number or a bracket belongs here"),
        ("one step", "dJ/dH = h(0)\n' $", "no formula goes on with '$'"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_one_clear_line(case: str, formula: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        checked(case, formula, tmp_path)
    assert message in str(caught.value)
    assert str(caught.value).startswith("--check: column ")
    assert "\n" not in str(caught.value)


def test_the_longest_formula_over_the_most_steps_comes_to_an_end() -> None:
    generator = np.random.default_rng(1)
    given = {"h(0)": np.zeros((1, 2)), "H": np.eye(2), "I": np.eye(2), "b1": np.zeros((1, 2))}
    given |= {"U": np.eye(2), "b2": np.zeros((1, 2)), "y(64)": np.eye(1, 2)}
    given |= {f"e({t})": generator.normal(0, 1, (1, 2)) for t in range(1, 65)}
    net = Unrolled(given, "tanh")
    known = names.of_matrices(net.steps, net.losses)
    with pytest.raises(InputError, match="a sum inside a sum inside a sum"):
        parser.parse("dJ/dH = sum_t sum_k sum_t h(t)' h(k)", known)
    long = "dJ/dH = sum_t sum_k h(t-1)' delta1(k)" + " + h(1)' h(1)" * 35
    assert not check.check(long[:500], net, known).passed
