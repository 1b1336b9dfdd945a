"""The oracle is held against mathematics alone: numbers worked out on paper, differences, sums that are 1."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

ln = np.log
V = 5  # |V|


@dataclass(frozen=True)
class Case:
    """A small random network and one window for it: 4 steps of 3 streams, states not 0, tokens that come twice."""

    layers: int = 1
    tied: bool = False
    activation: str = "sigmoid"
    loss_steps: int = 4
    reset: bool = False
    masks: bool = False
    seed: int = 2  # with this one relu has no z1 near its kink, and no gradient that is all zeros
    arguments: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        T, B, sizes = 4, 3, [3, 4][: self.layers]
        d = sizes[-1] if self.tied else 2
        parameters = {"embedding.table": random.normal(size=(V, d))}
        for l, (below, size) in enumerate(zip([d, *sizes], sizes, strict=False)):
            parameters[f"cell.{l}.I"] = random.normal(size=(below, size))
            parameters[f"cell.{l}.H"] = random.normal(size=(size, size))
            parameters[f"cell.{l}.b1"] = random.normal(size=size)
        if not self.tied:
            parameters["output.U"] = random.normal(size=(sizes[-1], V))
        parameters["output.b2"] = random.normal(size=V)
        arguments = {
            "parameters": parameters,
            "inputs": random.integers(V, size=(T, B)),
            "targets": random.integers(V, size=(T, B)),
            "states": [random.normal(size=(B, size)) for size in sizes],
            "activation": self.activation,
            "loss_steps": self.loss_steps,
        }
        if self.reset:  # before the first step, in the middle, at the last; stream 1 carries its state all the way
            arguments["reset"] = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, 1]], bool)
        if self.masks:
            widths = {"embedding": d} | {f"hidden.{l}": size for l, size in enumerate(sizes)}
            arguments["masks"] = {name: (random.random((T, B, width)) < 0.7) / 0.7 for name, width in widths.items()}
        object.__setattr__(self, "arguments", arguments)

    def forward(self) -> oracle.Forward:
        return oracle.forward(**{k: v for k, v in self.arguments.items() if k not in ("targets", "loss_steps")})


EVERYTHING = Case(layers=2, reset=True, masks=True)
ACTIVATIONS = ("sigmoid", "tanh", "relu")
GRADIENT_CASES = [
    *(replace(EVERYTHING, activation=f, loss_steps=steps) for f in ACTIVATIONS for steps in (4, 2, 1)),
    *(Case(activation=f) for f in ACTIVATIONS),
    Case(tied=True, loss_steps=3),
    replace(EVERYTHING, tied=True, activation="tanh"),
    replace(EVERYTHING, tied=True, activation="relu", loss_steps=1),
]


def with_one_number_moved(
    arguments: dict[str, Any], name: str, index: tuple[int, ...], step: complex
) -> dict[str, Any]:
    """The arguments with `step` added to one number of a parameter, or of layer l's state, named "state.l"."""
    moved = dict(arguments)
    if name.startswith("state."):
        moved["states"] = [state.astype(np.result_type(state, type(step))) for state in arguments["states"]]
        moved["states"][int(name[6:])][index] += step
    else:
        value = arguments["parameters"][name]
        moved["parameters"] = arguments["parameters"] | {name: value.astype(np.result_type(value, type(step)))}
        moved["parameters"][name][index] += step
    return moved


@pytest.mark.parametrize("case", GRADIENT_CASES, ids=str)
def test_gradients_agree_with_differences_of_the_loss(case: Case) -> None:
    """Every number of every parameter and state: a complex step, Im J(p + ih) / h, whose error is rounding alone, and
    central differences of order 4, which need no complex numbers."""
    if case.activation == "relu":  # no difference may step over the kink
        assert min(abs(z1).min() for z1 in case.forward().z1) > 3e-3
    gradient, state_gradient = oracle.gradients(**case.arguments)
    assert gradient.keys() == case.arguments["parameters"].keys()

    analytic = gradient | {f"state.{l}": value for l, value in enumerate(state_gradient)}
    for name, value in analytic.items():
        complex_step, central = np.zeros_like(value), np.zeros_like(value)
        for index in np.ndindex(value.shape):

            def J(step: complex, name: str = name, index: tuple[int, ...] = index) -> Any:
                return oracle.loss(**with_one_number_moved(case.arguments, name, index, step))

            complex_step[index] = J(1e-30j).imag / 1e-30
            h = 1e-4
            central[index] = (8 * (J(h) - J(-h)) - (J(2 * h) - J(-2 * h))) / (12 * h)
        assert_allclose(value, complex_step, rtol=1e-12, atol=1e-14, err_msg=name)
        assert_allclose(value, central, rtol=1e-9, atol=1e-9, err_msg=name)
        assert np.any(value != 0), f"{name}: a gradient of nothing but zeros proves nothing"


# A network small enough for paper: |V| = 2, d = D_h = 1, sigmoid, h(0) = 0.
#   table = (1, -1)   I = ln 3   H = 4/3 ln 3   b1 = 0   U = (0, 4 ln 2)   b2 = (0, -2 ln 2)
# Inputs 0, 1:
#   z1(1) = 0 H + 1 ln 3 = ln 3               h(1) = 1 / (1 + 1/3) = 3/4
#   z2(1) = (0, 3 ln 2 - 2 ln 2) = (0, ln 2)  y^(1) = (1, 2) / 3
#   z1(2) = 3/4 4/3 ln 3 - ln 3 = 0           h(2) = 1/2
#   z2(2) = (0, 2 ln 2 - 2 ln 2) = (0, 0)     y^(2) = (1, 1) / 2
PAPER = {
    "embedding.table": np.array([[1.0], [-1.0]]),
    "cell.0.I": np.array([[ln(3)]]),
    "cell.0.H": np.array([[4 / 3 * ln(3)]]),
    "cell.0.b1": np.array([0.0]),
    "output.U": np.array([[0.0, 4 * ln(2)]]),
    "output.b2": np.array([0.0, -2 * ln(2)]),
}
PAPER_WINDOW: dict[str, Any] = {
    "parameters": PAPER,
    "inputs": np.array([[0], [1]]),
    "states": [np.zeros((1, 1))],
    "activation": "sigmoid",
}


def test_forward_and_loss_on_paper() -> None:
    run = oracle.forward(**PAPER_WINDOW)
    assert_allclose(run.z1[0].ravel(), [ln(3), 0], atol=1e-15)
    assert_allclose(run.h[0].ravel(), [3 / 4, 1 / 2], atol=1e-15)
    assert_allclose(run.before[0].ravel(), [0, 3 / 4], atol=1e-15)
    assert_allclose(run.z2[:, 0], [[0, ln(2)], [0, 0]], atol=1e-15)
    assert_allclose(run.y_hat[:, 0], [[1 / 3, 2 / 3], [1 / 2, 1 / 2]], atol=1e-15)
    assert_allclose(run.states[0], [[1 / 2]], atol=1e-15)
    # Targets 1, 1: J(1) = - ln 2/3, J(2) = - ln 1/2, together - ln 1/3.
    assert oracle.loss(**PAPER_WINDOW, targets=np.array([[1], [1]]), loss_steps=2) == pytest.approx(ln(3), abs=1e-15)
    assert oracle.loss(**PAPER_WINDOW, targets=np.array([[1], [1]]), loss_steps=1) == pytest.approx(ln(2), abs=1e-15)


def test_gradients_on_paper() -> None:
    # Targets 1, 1:
    #   delta2(1) = (1/3, -1/3)           delta2(2) = (1/2, -1/2)
    #   dJ/dU = 3/4 (1/3, -1/3) + 1/2 (1/2, -1/2) = (1/2, -1/2)
    #   dJ/dh(2) = - 1/2 4 ln 2 = - 2 ln 2         delta1(2) = - 2 ln 2 (1/2 1/2) = - 1/2 ln 2
    #   dJ/dh(1) = - 4/3 ln 2 + delta1(2) 4/3 ln 3 = - 4/3 ln 2 - 2/3 ln 2 ln 3
    #   delta1(1) = 3/16 dJ/dh(1) = - 1/4 ln 2 - 1/8 ln 2 ln 3
    first, second = -ln(2) / 4 - ln(2) * ln(3) / 8, -ln(2) / 2
    gradient, (state,) = oracle.gradients(**PAPER_WINDOW, targets=np.array([[1], [1]]), loss_steps=2)
    assert_allclose(gradient["output.U"], [[1 / 2, -1 / 2]], atol=1e-15)
    assert_allclose(gradient["output.b2"], [5 / 6, -5 / 6], atol=1e-15)
    assert_allclose(gradient["cell.0.H"], [[3 / 4 * second]], atol=1e-15)
    assert_allclose(gradient["cell.0.I"], [[first - second]], atol=1e-15)  # e(1) = 1, e(2) = -1
    assert_allclose(gradient["cell.0.b1"], [first + second], atol=1e-15)
    assert_allclose(gradient["embedding.table"], [[first * ln(3)], [second * ln(3)]], atol=1e-15)
    assert_allclose(state, [[first * 4 / 3 * ln(3)]], atol=1e-15)


def test_text_scores_on_paper() -> None:
    # Line end 0. The text 1, 0 is scored from the inputs 0, 1: with probabilities 2/3 and 1/2.
    text = (PAPER, np.array([1, 0]), 0, "sigmoid")
    assert_allclose(oracle.log_probabilities(*text), [ln(2 / 3), ln(1 / 2)], atol=1e-15)
    assert oracle.perplexity(*text) == pytest.approx(3**0.5, abs=1e-14)
    assert oracle.perplexity(*text, counted=np.array([True, False])) == pytest.approx(3 / 2, abs=1e-14)
    # Entropy: - 1/3 log2 1/3 - 2/3 log2 2/3 = log2 3 - 2/3, and one bit.
    assert_allclose(oracle.entropies(*text), [np.log2(3) - 2 / 3, 1], atol=1e-14)
    assert_array_equal(oracle.ranks(PAPER, np.array([0]), 0, "sigmoid"), [2])
    assert_array_equal(oracle.ranks(PAPER, np.array([1]), 0, "sigmoid"), [1])


def test_equal_probabilities_share_the_better_rank() -> None:
    nothing = {name: np.zeros_like(value) for name, value in Case().arguments["parameters"].items()}
    assert_array_equal(oracle.ranks(nothing, np.array([4, 0, 2]), 0, "tanh"), [1, 1, 1])
    assert_allclose(oracle.entropies(nothing, np.array([4, 0, 2]), 0, "tanh"), np.log2(V), atol=1e-14)
    assert oracle.perplexity(nothing, np.array([4, 0, 2]), 0, "tanh") == pytest.approx(V, abs=1e-13)


@pytest.mark.parametrize("case", [Case(), EVERYTHING, replace(EVERYTHING, tied=True, activation="tanh")], ids=str)
def test_probabilities_sum_to_one(case: Case) -> None:
    run = case.forward()
    assert_allclose(run.y_hat.sum(axis=-1), 1, atol=1e-15 * V)
    assert (run.y_hat > 0).all()
    assert_allclose(run.log_y_hat, ln(run.y_hat), rtol=1e-13)


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_probabilities_of_all_texts_of_one_length_sum_to_one(state: str) -> None:
    parameters = Case().arguments["parameters"]
    texts = [np.array(text) for text in product(range(V), repeat=3)]
    total = sum(np.exp(oracle.log_probabilities(parameters, text, 0, "sigmoid", state).sum()) for text in texts)
    assert total == pytest.approx(1, abs=1e-13)


def test_two_windows_with_the_state_carried_over_are_one_long_window() -> None:
    whole = EVERYTHING.arguments

    def half(steps: slice, states: list[oracle.Array]) -> oracle.Forward:
        masks = {name: mask[steps] for name, mask in whole["masks"].items()}
        return oracle.forward(
            whole["parameters"], whole["inputs"][steps], states, "sigmoid", whole["reset"][steps], masks
        )

    run = EVERYTHING.forward()
    first = half(slice(0, 1), whole["states"])
    second = half(slice(1, 4), first.states)
    assert_array_equal(np.concatenate([first.z2, second.z2]), run.z2)
    for ours, theirs in zip(second.states, run.states, strict=True):
        assert_array_equal(ours, theirs)


def test_the_loss_is_the_mean_over_streams_of_a_sum_over_steps() -> None:
    arguments = Case(loss_steps=2).arguments
    alone = [
        oracle.loss(
            **arguments
            | {"inputs": arguments["inputs"][:, [b]], "targets": arguments["targets"][:, [b]]}
            | {"states": [state[[b]] for state in arguments["states"]]}
        )
        for b in range(3)
    ]
    assert oracle.loss(**arguments) == pytest.approx(np.mean(alone), abs=1e-14)
    last = oracle.loss(**arguments | {"loss_steps": 1})
    y_hat = Case().forward().y_hat
    last_two = [-ln(y_hat[t, range(3), arguments["targets"][t]]).mean() for t in (2, 3)]
    assert last == pytest.approx(last_two[1], abs=1e-14)
    assert oracle.loss(**arguments) == pytest.approx(sum(last_two), abs=1e-14)


def test_a_reset_before_the_first_step_is_a_state_of_zeros() -> None:
    arguments = Case(layers=2).arguments
    parameters, inputs, states = (arguments[name] for name in ("parameters", "inputs", "states"))
    some = np.zeros((4, 3), bool)
    some[0] = True
    reset = oracle.forward(parameters, inputs, states, "sigmoid", some)
    zero = oracle.forward(parameters, inputs, oracle.zero_states(parameters, 3), "sigmoid")
    assert_array_equal(reset.z2, zero.z2)
    _, state_gradient = oracle.gradients(**arguments, reset=some)
    assert all((value == 0).all() for value in state_gradient)


def test_dropout_masks_what_goes_up_and_never_the_recurrence() -> None:
    arguments = Case(layers=2).arguments
    window = (arguments["parameters"], arguments["inputs"], arguments["states"], "sigmoid")
    plain = oracle.forward(*window)
    masked = oracle.forward(*window, masks={"hidden.0": np.zeros((4, 3, 3)), "hidden.1": np.full((4, 3, 4), 2.0)})
    assert_array_equal(masked.h[0], plain.h[0])
    assert_array_equal(masked.before[1][1:], masked.h[1][:-1])
    assert_array_equal(masked.up[1], 0)
    assert_array_equal(masked.up[2], 2 * masked.h[1])
    U, b2 = arguments["parameters"]["output.U"], arguments["parameters"]["output.b2"]
    assert_allclose(masked.z2, 2 * masked.h[1] @ U + b2, atol=1e-14)


def test_under_reset_a_line_scores_the_same_wherever_it_stands() -> None:
    parameters, line_end = Case(layers=2, activation="tanh").arguments["parameters"], 0
    line, other = [3, 1, 1, 4, line_end], [2, 4, 3, line_end]
    text = np.array(line + other + line + [line_end] + line)  # an empty line stands before the last

    surprisal = -oracle.log_probabilities(parameters, text, line_end, "tanh", "reset")
    alone = -oracle.log_probabilities(parameters, np.array(line), line_end, "tanh", "reset")
    for start in (0, 9, 15):
        assert_array_equal(surprisal[start : start + 5], alone)

    carried = -oracle.log_probabilities(parameters, text, line_end, "tanh", "carry")
    assert_array_equal(carried[:5], alone)
    assert abs(carried[9:14] - alone).max() > 1e-3


def test_relu_is_flat_at_zero() -> None:
    """z1 = 0 everywhere: f' is 0 there, so that nothing flows below the output layer."""
    case = Case(activation="relu")
    parameters = case.arguments["parameters"]
    for letter in ("I", "H", "b1"):
        parameters[f"cell.0.{letter}"][:] = 0
    gradient, _ = oracle.gradients(**case.arguments)
    assert (gradient["cell.0.b1"] == 0).all()
    assert (gradient["output.b2"] != 0).any()


def test_the_plain_activations_are_the_textbook_ones() -> None:
    z = np.array([-800.0, -2.0, 0.0, 2.0, 800.0])
    tanh2 = np.sinh(2) / np.cosh(2)
    assert_allclose(oracle.ACTIVATIONS["sigmoid"](z), [0, 1 / (1 + np.e**2), 0.5, 1 / (1 + np.e**-2), 1], rtol=1e-15)
    assert_allclose(oracle.ACTIVATIONS["tanh"](z), [-1, -tanh2, 0, tanh2, 1], rtol=1e-15)
    assert_array_equal(oracle.ACTIVATIONS["relu"](z), [0, 0, 0, 2, 800])


def test_large_logits_stay_finite() -> None:
    parameters = PAPER | {"output.b2": np.array([5000.0, -5000.0])}
    log_probability = oracle.log_probabilities(parameters, np.array([0, 1]), 0, "sigmoid")
    # Inputs 0, 0. z2(1) = (5000, 3 ln 2 - 5000): token 0 is certain. h(2) = f(ln 3 + ln 3) = 9/10, so that
    # z2(2) = (5000, 3.6 ln 2 - 5000), and token 1 is far below the smallest float64 but its logarithm is exact.
    assert log_probability[0] == 0
    assert log_probability[1] == pytest.approx(3.6 * ln(2) - 10000, rel=1e-14)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"inputs": np.array([[-1, 0, 0]] * 4)}, "token ids"),
        ({"inputs": np.array([[V, 0, 0]] * 4)}, "token ids"),
        ({"targets": np.zeros((4, 1), int)}, "targets"),
        ({"loss_steps": 0}, "loss_steps"),
        ({"loss_steps": 5}, "loss_steps"),
        ({"states": [np.zeros((1, 3))]}, "states"),
        ({"states": [np.zeros((3, 3), np.float32)]}, "float64"),
        ({"reset": np.zeros((4, 1), bool)}, "reset"),
        ({"masks": {"hidden": np.ones((4, 3, 3))}}, "masks"),
        ({"masks": {"hidden.0": np.ones((4, 1, 3))}}, "masks"),
        ({"parameters": Case(tied=True).arguments["parameters"] | {"cell.0.b1": np.zeros(1)}}, "shapes"),
        ({"parameters": Case(layers=2).arguments["parameters"] | {"cell.2.I": np.zeros((1, 1))}}, "shapes"),
        ({"parameters": {k: v for k, v in Case().arguments["parameters"].items() if k != "output.U"}}, "shapes"),
    ],
)
def test_arguments_that_numpy_would_let_pass_are_refused(change: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        oracle.gradients(**Case().arguments | change)


def test_a_negative_last_token_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        oracle.log_probabilities(PAPER, np.array([1, -1]), 0, "sigmoid")
