"""``rnnlm derive numbers.yaml`` over several steps, and with the letters of the scalar network."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import oracle
import pytest

from rnnlm.errors import InputError
from rnnlm.gradients import commands
from rnnlm.gradients.derivation import own_numbers
from rnnlm.gradients.derivation.records import Quantity, Verdict
from rnnlm.network.reference import equations

ACTIVATIONS = ("sigmoid", "tanh", "relu")

STEPS = """\
activation: {activation}
{inputs}: [[1, 0.5], [0.2, -0.3], [0, 1], [1, 1]]
h0: [0.1, 0.2]
I: [[0.1, 0.2], [0.3, 0.4]]
H: [[0.5, -0.6], [0.7, 0.8]]
b1: [0, 0.1]
U: [[1, -1, 0.5], [0.5, 0, 2]]
{target}
"""

TWO_STEPS = """\
activation: sigmoid
s(-1): 0.5
x0: 1
x1: -0.4
w: 0.8
v: 0.6
b: 0.1
u: [0.9, -0.7]
target: 1
"""


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "numbers.yaml").write_text(text)
    return tmp_path / "numbers.yaml"


def quantities(path: Path) -> list[Quantity]:
    walk = list(commands.derive_numbers(path))
    assert Verdict.of(walk).passed
    return [record for record in walk if isinstance(record, Quantity)]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("target", "losses"), [("targets: [2, 0, 1, 1]", 4), ("target: 2", 1)])
@pytest.mark.parametrize("inputs", ["e", "x"])
def test_several_steps_are_the_oracles(
    activation: str, target: str, losses: int, inputs: str, tmp_path: Path
) -> None:
    path = written(tmp_path, STEPS.format(activation=activation, inputs=inputs, target=target))
    found = {one.name: one.value for one in quantities(path)}
    network, window, _ = own_numbers.load(path)
    # The oracle takes one table row a token: a fourth token, which never comes, beside the file's three.
    padded = dict(network.named)
    padded["output.U"] = np.hstack([padded["output.U"], np.zeros((2, 1))])
    padded["output.b2"] = np.append(padded["output.b2"], -1e9)
    gradients, states = oracle.gradients(padded, window.inputs, window.targets, window.states, activation, losses)
    for name, parameter in {"H": "cell.0.H", "I": "cell.0.I"}.items():
        np.testing.assert_allclose(found[f"dJ/d{name}"], gradients[parameter], rtol=0, atol=1e-14)
    np.testing.assert_allclose(found["dJ/dU"], gradients["output.U"][:, :3], rtol=0, atol=1e-14)
    np.testing.assert_allclose(found["dJ/db1"][0], gradients["cell.0.b1"], rtol=0, atol=1e-14)
    np.testing.assert_allclose(found["dJ/db2"][0], gradients["output.b2"][:3], rtol=0, atol=1e-14)
    np.testing.assert_allclose(found["dJ/dh(0)"], states[0], rtol=0, atol=1e-14)
    for t in range(1, 5):
        np.testing.assert_allclose(found[f"dJ/de({t})"][0], gradients["embedding.table"][t - 1], rtol=0, atol=1e-14)
    parts = sum(found[f"dJ/dH|{t}"] for t in range(1, 5))
    np.testing.assert_allclose(parts, gradients["cell.0.H"], rtol=0, atol=1e-14)
    assert ("y(1)" in found) == (losses == 4)


@pytest.mark.parametrize("wrong", ["f_prime", "delta2", "dJ_dh_from_later", "dJ_de", "dJ_dh_from_output"])
def test_a_wrong_equation_is_marked(wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, STEPS.format(activation="tanh", inputs="e", target="target: 2"))
    real = getattr(equations, wrong)
    monkeypatch.setattr(equations, wrong, lambda *arguments: 1.01 * real(*arguments))
    assert not Verdict.of(commands.derive_numbers(path)).passed


def test_two_steps_of_one_unit_by_a_textbooks_letters(tmp_path: Path) -> None:
    """Against the closed form, written with the file's numbers alone."""
    found = {one.name: one.value for one in quantities(written(tmp_path, TWO_STEPS))}

    def f(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    s0 = f(0.8 * 0.5 + 0.6 * 1 + 0.1)
    s1 = f(0.8 * s0 + 0.6 * -0.4 + 0.1)
    powers = [math.exp(0.9 * s1), math.exp(-0.7 * s1)]
    first, second = (power / math.fsum(powers) for power in powers)
    delta = (0.9 * first - 0.7 * (second - 1)) * s1 * (1 - s1)
    before = delta * 0.8 * s0 * (1 - s0)
    closed = {"s(0)": s0, "s(1)": s1, "J": -math.log(second), "ds(0)/ds(-1)": 0.8 * s0 * (1 - s0)}
    closed |= {"delta(1)": delta, "delta(0)": before, "dJ/dw|1": delta * s0, "dJ/dw|0": before * 0.5}
    closed |= {"dJ/dw": delta * s0 + before * 0.5, "dJ/dv": delta * -0.4 + before * 1, "dJ/db": delta + before}
    for name, value in closed.items():
        assert float(found[name].squeeze()) == pytest.approx(value, rel=1e-13), name
    assert [name for name in found if name.startswith(("e(", "s(2)", "z(2)"))] == []


@pytest.mark.parametrize("before", ["s-1", "s_-1", "s_{-1}", "h-1"])
@pytest.mark.parametrize("inputs", ["x(%d)", "x_%d", "e%d"])
def test_the_spellings_of_a_step(before: str, inputs: str, tmp_path: Path) -> None:
    text = TWO_STEPS.replace("s(-1)", before).replace("x0", inputs % 0).replace("x1", inputs % 1)
    wanted = quantities(written(tmp_path, TWO_STEPS))
    found = quantities(written(tmp_path, text))
    assert [(one.name, one.value.tolist()) for one in found] == [(one.name, one.value.tolist()) for one in wanted]


def test_steps_counted_from_one(tmp_path: Path) -> None:
    text = TWO_STEPS.replace("x1", "x2").replace("x0", "x1").replace("s(-1)", "s0")
    found = {one.name: float(one.value.sum()) for one in quantities(written(tmp_path, text))}
    wanted = {one.name: float(one.value.sum()) for one in quantities(written(tmp_path, TWO_STEPS))}
    assert found["dJ/dw"] == wanted["dJ/dw"]
    assert found["ds(1)/ds(0)"] == wanted["ds(0)/ds(-1)"]
    assert (found["e(1)"], found["e(2)"]) == (1, -0.4)


@pytest.mark.parametrize(
    ("line", "other", "message"),
    [
        ("u:", "u: 0.9", r"yaml:8:1: u: found 0.9; must be a list of one for each token, at least 2 \(u goes out"),
        ("u:", "u: [0.9]", r"yaml:8:1: u: found \[0.9\]; must be a list of one for each token"),
        ("target:", "target: 2", "target: found 2; must be one of u's columns, 0 to 1"),
        ("x0:", "", r"yaml:1:1: x0: is not given"),
        ("x0:", "q: 1", r"yaml:3:1: q: unknown key; there are s\(-1\), x0, x1, w, v, b, u, c, target, activation"),
        ("b:", "c: [1, 2, 3]", "c: found 3 numbers; must be as many as u has, 2"),
        ("w:", "w: [1, 2]", r"yaml:5:1: w: found \[1.* must be a valid number"),
        ("activation:", "activation: swish", "activation: found 'swish'; must be 'tanh', 'sigmoid' or 'relu'"),
    ],
)
def test_scalars_that_do_not_fit(line: str, other: str, message: str, tmp_path: Path) -> None:
    _refused(TWO_STEPS, line, other, message, tmp_path)


@pytest.mark.parametrize(
    ("line", "other", "message"),
    [
        ("target", "targets: [1, 0]", "target: found 2 for 4 steps; must be one for each step, or a single number"),
        ("target", "targets: []", r"targets: found \[\]; must be the index of a token, from 0, or a list"),
        ("target", "targets: [0, 1, 2, 3]", "target: found 3; must be one of U's columns, 0 to 2"),
        ("target", "target: one", "target: found 'one'; must be the index of a token, from 0, or a list"),
        ("e:", "e: [[1, 2], [3]]", "e: found rows of 1 and of 2 numbers; all must be alike"),
        ("e:", "e: [[1, 2], 3]", "e: found rows of 1 and of 2 numbers; all must be alike"),
        ("e:", "e: []", r"yaml:2:1: e: found \[\]; "),
    ],
)
def test_steps_that_do_not_fit(line: str, other: str, message: str, tmp_path: Path) -> None:
    _refused(STEPS.format(activation="tanh", inputs="e", target="target: 1"), line, other, message, tmp_path)


def _refused(text: str, line: str, other: str, message: str, tmp_path: Path) -> None:
    lines = [other if one.startswith(line) else one for one in text.splitlines()]
    with pytest.raises(InputError, match=message) as caught:
        commands.derive_numbers(written(tmp_path, "\n".join(lines) + "\n"))
    assert "\n" not in str(caught.value)
