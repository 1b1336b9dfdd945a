"""The ledger's parts are what they say, one by one, and add up to the gradient that training uses."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from every_cell import every_cell
from networks import Case, config

from rnnlm.gradients.ledger import jacobian, ledger
from rnnlm.gradients.ledger.records import Kept, Ledger
from rnnlm.gradients.window import Window
from rnnlm.network.reference import cells as forward
from rnnlm.network.reference.cells_backward import BACKWARD

ACTIVATIONS = ("sigmoid", "tanh", "relu")


def run(case: Case, loss_steps: int) -> Ledger:
    part = Window(case.inputs, case.targets, case.reset, case.states, loss_steps, 0)
    words = tuple(map(str, case.inputs[:, 0])), tuple(map(str, case.targets[:, 0]))
    work = ledger.ledger(case.network, part, words, "text")
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: Ledger = end.value
            return found


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("precision", "bound"), [("float64", 1e-12), ("float32", 2e-6)])
@pytest.mark.parametrize(("layers", "tie"), [(1, False), (3, True)])
@pytest.mark.parametrize("loss_steps", [1, 4, 9])
def test_the_parts_add_up_to_the_training_kernels_gradient(
    activation: str, precision: str, bound: float, layers: int, tie: bool, loss_steps: int
) -> None:
    case = Case(config(activation, layers=layers, tie=tie, precision=precision), steps=9, batch=1)
    found = run(case, loss_steps)
    for number, layer in enumerate(found.layers):
        names = {"H", "I", "b1"} | ({"e"} if number == 0 and not tie else set())
        assert set(layer.agreement) == names
        for name in names:
            assert layer.agreement[name] < bound, name
            assert np.nansum(layer.share[name]) == pytest.approx(1)


@every_cell
@pytest.mark.parametrize(("precision", "bound"), [("float64", 1e-12), ("float32", 2e-6)])
@pytest.mark.parametrize(("layers", "norm", "loss_steps"), [(1, False, 9), (3, False, 4), (3, True, 9)])
def test_the_parts_of_every_cell_add_up(
    model: dict[str, Any], precision: str, bound: float, layers: int, norm: bool, loss_steps: int
) -> None:
    case = Case(config(layers=layers, precision=precision, model=model | {"layer_norm": norm}), steps=9, batch=1)
    found = run(case, loss_steps)
    surprisal = case.network.scores(case.forward(), case.targets).log_probability[-loss_steps:, 0]
    assert found.surprisal == pytest.approx(-surprisal, rel=bound)
    for layer, cell in zip(found.layers, case.network.cells, strict=True):
        names = set(cell.shapes()) | ({"g", "b"} if norm else set())
        assert set(layer.agreement) == names | ({"e"} if layer.name == "cell.0" else set())
        assert set(layer.parameters) == names | {"e"}
        for name, value in layer.agreement.items():
            assert value < bound, name
        for name, share in layer.share.items():
            assert np.nansum(share) == pytest.approx(1), name
        assert (np.nanmax(layer.norm["e"], axis=1) > 0).all()


@every_cell
def test_each_part_of_every_gate_is_the_difference_of_two_windows(model: dict[str, Any]) -> None:
    """The part of step s is the kernels' gradient through steps s ... t less that through s+1 ... t, each from the
    state that stands there."""
    case = Case(config(layers=2, model=model), steps=6, batch=1, seed=4)
    found = run(case, 6)
    whole = case.gradients(6)
    t = 4
    trace = case.forward()
    states = [[state.copy() for state in case.network.states_after(trace, s)] for s in range(t + 1)]

    def through(s: int) -> dict[str, np.ndarray]:
        if s > t:
            return {name: np.zeros_like(value) for name, value in whole.items()}
        part = Case(case.network, steps=t + 1 - s, batch=1)
        piece = slice(s, t + 1)
        part.inputs, part.targets, part.reset = case.inputs[piece], case.targets[piece], case.reset[piece]
        part.states = states[s]
        return part.gradients(1)

    for number in range(2):
        layer, blocks = found.layers[number], BACKWARD[type(case.network.cells[number])].blocks(case.network.cells[0])
        for s in range(t + 1):
            longer, shorter = through(s), through(s + 1)
            for block in blocks:
                flat = f"cell.{number}.{block.parameter}"
                part, all_of_it = ((longer[flat] - shorter[flat])[block.place], whole[flat][block.place])
                size, product = np.linalg.norm(part), float((part * all_of_it).sum())
                assert layer.norm[block.name][t, t - s] == pytest.approx(size, rel=1e-8, abs=1e-13)
                assert layer.share[block.name][t, t - s] == pytest.approx(
                    product / np.linalg.norm(all_of_it) ** 2, abs=1e-11
                )
            for parameter in {block.parameter for block in blocks}:
                flat = f"cell.{number}.{parameter}"
                size = np.linalg.norm(longer[flat] - shorter[flat])
                assert layer.norm[parameter][t, t - s] == pytest.approx(size, rel=1e-8, abs=1e-13)


@every_cell
def test_the_jacobians_of_every_state_are_those_of_complex_steps(model: dict[str, Any]) -> None:
    case = Case(config(model=model), steps=6, batch=1, resets=False, seed=2)
    layer, cell = run(case, 2).layers[0], case.network.cells[0]
    states = BACKWARD[type(cell)].states(cell)
    assert [*states][1:] == [*layer.jacobians]
    p, step = case.network.parameters["cells"][0], forward.STEPS[type(cell)]
    e = case.network.table[case.inputs]
    for i, t in enumerate((4, 5)):
        for lag in range(t + 1):
            s = t - lag
            state = case.states[0] if s < 0 else case.network.states_after(case.forward(), s + 1)[0]
            moved = np.repeat(state, cell.state_size, axis=0) + 1e-40j * np.eye(cell.state_size)
            for later in range(s + 1, t + 1):
                moved = step(cell, p, moved, np.repeat(e[later], cell.state_size, axis=0))
            exact = moved.imag / 1e-40
            for name, part in states.items():
                norms = layer.jacobian if name == "h" else layer.jacobians[name]
                assert norms[i, lag] == pytest.approx(np.linalg.norm(exact[part, part], 2), rel=1e-10)


@pytest.mark.parametrize(
    ("model", "cut"),
    [
        ({"cell": "gru"}, ("H",)),
        ({"cell": "gru_before"}, ("H",)),
        ({"cell": "lstm"}, ("H",)),
        ({"cell": {"type": "lstm", "coupled_gates": True}}, ("H",)),
        ({"cell": "mingru"}, ()),
        ({"cell": {"type": "scrn", "context": 3, "context_decay": 0.8}}, ()),
    ],
)
def test_the_product_of_the_gates_is_the_jacobian_where_there_is_no_other_path(
    model: dict[str, Any], cut: tuple[str, ...]
) -> None:
    case = Case(config(model=model), steps=9, batch=1, seed=1)
    for name in cut:
        case.network.parameters["cells"][0][name][:] = 0
    layer = run(case, 9).layers[0]
    carried = layer.carried
    assert carried is not None
    jacobian = layer.jacobian if carried.state == "h" else layer.jacobians[carried.state]
    np.testing.assert_allclose(carried.largest, jacobian, rtol=1e-10)
    assert (np.nan_to_num(carried.mean) <= np.nan_to_num(carried.largest) * (1 + 1e-12)).all()
    assert [one.carried for one in layer.lags] == pytest.approx(list(np.nanmean(carried.largest, axis=0)))
    if carried.gate == "a":
        reached = ~np.array([case.reset[t - lag + 1 : t + 1].any() for t in range(9) for lag in range(t + 1)])
        known = np.concatenate([carried.largest[t, : t + 1] for t in range(9)])
        powers = np.array([0.8**lag for t in range(9) for lag in range(t + 1)])
        np.testing.assert_allclose(known, powers * reached, rtol=1e-12)


def _with_copies(case: Case, t: int) -> list[dict[str, np.ndarray]]:
    """dJ(t)/d(parameter) at every step s alone, by the oracle: a window of one loss, cut at s from below.

    The part of step s is the gradient through the steps s ... t less the gradient through s+1 ... t, each with the
    state before it held fixed.
    """
    parameters = case.network.named
    activation = case.network.config.model.activation
    gradients = []
    for s in range(t + 1):
        states = case.states
        if s:
            states = oracle.forward(parameters, case.inputs[:s], states, activation, case.reset[:s]).states
        piece = slice(s, t + 1)
        found, _ = oracle.gradients(
            parameters, case.inputs[piece], case.targets[piece], states, activation, 1, case.reset[piece]
        )
        gradients.append(found)
    zero = {name: np.zeros_like(value) for name, value in parameters.items()}
    return [
        {name: value - later[name] for name, value in one.items()}
        for one, later in zip(gradients, [*gradients[1:], zero], strict=True)
    ]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_part_is_the_oracles(activation: str) -> None:
    case = Case(config(activation), steps=6, batch=1, seed=4)
    found = run(case, 6).layers[0]
    wholes, _ = oracle.gradients(
        case.network.named, case.inputs, case.targets, case.states, activation, 6, case.reset
    )
    for t in range(6):
        for s, part in enumerate(_with_copies(case, t)):
            lag = t - s
            for name in ("H", "I", "b1"):
                own, whole = part[f"cell.0.{name}"], wholes[f"cell.0.{name}"]
                size, product = np.linalg.norm(own), float((own * whole).sum())
                assert found.norm[name][t, lag] == pytest.approx(size, rel=1e-9, abs=1e-13)
                assert found.share[name][t, lag] == pytest.approx(product / np.linalg.norm(whole) ** 2, abs=1e-12)
                if size > 1e-9:
                    assert found.cosine[name][t, lag] == pytest.approx(
                        product / size / np.linalg.norm(whole), abs=1e-9
                    )
            row = part["embedding.table"][case.inputs[s, 0]]
            assert found.norm["e"][t, lag] == pytest.approx(np.linalg.norm(row), rel=1e-9, abs=1e-13)
        assert np.isnan(found.norm["H"][t, t + 1 :]).all()


def test_nothing_goes_back_over_a_reset() -> None:
    case = Case(config("tanh"), steps=6, batch=1, resets=False)
    case.reset[3] = True
    layer = run(case, 6).layers[0]
    for t in (3, 4, 5):
        beyond = slice(t - 2, t + 1)  # lags that reach before step 3
        for name in ("I", "b1", "e"):
            assert (layer.norm[name][t, beyond] == 0).all()
        assert (layer.jacobian[t, beyond] == 0).all()
        assert (layer.norm["b1"][t, : t - 2] > 0).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_jacobian_products_are_those_of_finite_differences(activation: str) -> None:
    case = Case(config(activation), steps=5, batch=1, resets=False, seed=2)
    norms = run(case, 2).layers[0].jacobian
    parameters = case.network.named
    for i, t in enumerate((3, 4)):
        assert norms[i, 0] == 1
        for lag in range(1, t + 1):
            s = t - lag
            start = oracle.forward(parameters, case.inputs[: s + 1], case.states, activation).states
            columns = []
            for j in range(6):
                moved = [state.astype(complex) for state in start]
                moved[0][0, j] += 1e-30j
                h = oracle.forward(parameters, case.inputs[s + 1 : t + 1], moved, activation).states[0]
                columns.append(h[0].imag / 1e-30)
            assert norms[i, lag] == pytest.approx(np.linalg.norm(np.array(columns), 2), rel=1e-10)


def test_spectral_norms_of_large_and_tiny_matrices() -> None:
    generator = np.random.default_rng(0)
    for n in (40, 60):
        A = generator.standard_normal((n, n))
        assert jacobian.spectral_norm(A) == pytest.approx(np.linalg.norm(A, 2), rel=1e-9)
        assert jacobian.spectral_norm(1e-200 * A) == pytest.approx(1e-200 * np.linalg.norm(A, 2), rel=1e-9)
        assert jacobian.spectral_norm(0 * A) == 0
        assert jacobian.spectral_norm(np.outer(A[0], A[1])) == pytest.approx(
            np.linalg.norm(A[0]) * np.linalg.norm(A[1])
        )


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("seed", range(5))
def test_the_scalar_networks_closed_forms(activation: str, seed: int) -> None:
    """d = D_h = 1, two steps, the loss at the last one."""
    case = Case(config(activation, d=1, hidden=1), vocabulary=3, steps=2, batch=1, resets=False, seed=seed)
    p = {name: value for name, value in case.network.named.items()}
    w, v, b = p["cell.0.H"][0, 0], p["cell.0.I"][0, 0], p["cell.0.b1"][0]
    e1, e2 = p["embedding.table"][case.inputs[:, 0], 0]
    f = np.tanh if activation == "tanh" else lambda z: 1 / (1 + np.exp(-z))
    f_prime = (lambda s: 1 - s * s) if activation == "tanh" else (lambda s: s * (1 - s))
    s0 = case.states[0][0, 0]
    s1 = f(w * s0 + v * e1 + b)
    s2 = f(w * s1 + v * e2 + b)
    o = s2 * p["output.U"][0] + p["output.b2"]
    y_hat = np.exp(o) / np.exp(o).sum()
    d_s2 = y_hat @ p["output.U"][0] - p["output.U"][0, case.targets[1, 0]]
    delta_2 = d_s2 * f_prime(s2)
    delta_1 = delta_2 * w * f_prime(s1)

    layer = run(case, 1).layers[0]
    exact = {"rel": 1e-14, "abs": 1e-15}
    assert layer.norm["H"][0] == pytest.approx([abs(delta_2 * s1), abs(delta_1 * s0)], **exact)
    assert layer.norm["I"][0] == pytest.approx([abs(delta_2 * e2), abs(delta_1 * e1)], **exact)
    assert layer.norm["b1"][0] == pytest.approx([abs(delta_2), abs(delta_1)], **exact)
    assert layer.norm["e"][0] == pytest.approx([abs(delta_2 * v), abs(delta_1 * v)], **exact)
    assert layer.whole["H"] == pytest.approx(abs(delta_2 * s1 + delta_1 * s0), **exact)
    assert layer.whole["I"] == pytest.approx(abs(delta_2 * e2 + delta_1 * e1), **exact)
    assert layer.whole["b1"] == pytest.approx(abs(delta_2 + delta_1), **exact)
    assert layer.jacobian[0] == pytest.approx([1, abs(w * f_prime(s2))], **exact)
    assert max(layer.agreement.values()) < 1e-14


def test_what_truncation_keeps_is_the_gradient_of_truncated_windows() -> None:
    """With one loss, keeping K steps is the window of the last K steps."""
    case = Case(config("tanh"), steps=8, batch=1, resets=False)
    found = run(case, 1)
    parameters = case.network.named

    def gradient(K: int) -> np.ndarray:
        states = case.states
        if K < 8:
            states = oracle.forward(parameters, case.inputs[: 8 - K], states, "tanh").states
        g, _ = oracle.gradients(parameters, case.inputs[8 - K :], case.targets[8 - K :], states, "tanh", 1)
        return np.concatenate([g[f"cell.0.{name}"].ravel() for name in ("H", "I", "b1")])

    # The ledger counts the inputs e(s) too, whose parts stand side by side.
    parts = found.layers[0].norm["e"][0]
    whole = gradient(8)
    whole_square = whole @ whole + (parts**2).sum()
    for kept in found.kept:
        own = gradient(kept.lags)
        own_square = own @ own + (parts[: kept.lags] ** 2).sum()
        assert kept.ratio == pytest.approx(np.sqrt(own_square / whole_square))
        lost = (own - whole) @ (own - whole) + (parts[kept.lags :] ** 2).sum()
        assert kept.lost == pytest.approx(np.sqrt(lost / whole_square), abs=1e-12)
    assert found.kept[-1].ratio == pytest.approx(1)
    assert found.kept[-1].lost == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("ratios", "advice"),
    [
        ([1.0], 1),
        ([0.5, 0.98, 0.995, 1.0], 3),
        ([0.995, 0.9, 0.992, 1.0], 3),
        ([1.2, 1.05, 1.009, 1.0], 3),
        ([0.2, 0.5, 1.0], 3),
    ],
)
def test_the_advice_is_the_least_number_from_which_on_enough_is_kept(ratios: list[float], advice: int) -> None:
    assert ledger.advice(tuple(Kept(i, ratio, 1.0, 0.0) for i, ratio in enumerate(ratios, 1))) == advice


def test_dead_units_give_zeros_not_errors() -> None:
    case = Case(config("relu"), steps=4, batch=1, resets=False)
    case.network.named["cell.0.b1"][:] = -100
    found = run(case, 4)
    assert (found.layers[0].norm["H"][3] == 0).all()
    assert found.layers[0].rate is None
    assert np.nansum(found.reach) == 0
    assert found.advice == 1
