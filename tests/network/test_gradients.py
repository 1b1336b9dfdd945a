"""Every gradient of the compiled kernels, in float64, against central differences and against the oracle."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from gradcheck import numeric, relative_error
from networks import Case, config, smooth_case

ACTIVATIONS = ("sigmoid", "tanh", "relu")
# loss: every; loss: last; and bptt_stride < bptt, where only the last bptt_stride steps of a window have a loss
LOSS_STEPS = {"every": 7, "last": 1, "bptt_stride 3 of bptt 7": 3}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss_steps", LOSS_STEPS.values(), ids=LOSS_STEPS.keys())
def test_every_parameter_against_central_differences(activation: str, loss_steps: int) -> None:
    case = smooth_case(config(activation))
    found = case.gradients(loss_steps)
    assert set(found) == set(case.network.named)
    for name, parameter in case.network.named.items():
        wanted = numeric(lambda: case.loss(loss_steps), parameter)
        assert np.abs(wanted).max() > 1e-3, f"{name} does not matter: the test would show nothing"
        assert relative_error(found[name], wanted) < 1e-7, name


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("layers", "tie"), [(2, False), (3, True), (1, True)])
def test_stacks_tied_weights_and_dropout(activation: str, layers: int, tie: bool) -> None:
    case = smooth_case(
        config(activation, hidden=4, layers=layers, tie=tie, dropout=0.3), vocabulary=7, steps=5, batch=2
    )
    found = case.gradients(3, mask=(7, 11))
    for name, parameter in case.network.named.items():
        wanted = numeric(lambda: case.loss(3, mask=(7, 11)), parameter)
        assert relative_error(found[name], wanted) < 1e-7, name


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_initial_state(activation: str) -> None:
    case = smooth_case(config(activation))
    wanted = numeric(lambda: case.loss(7), case.states[0])
    _, found = case.backward(7)
    assert relative_error(found.states[0], wanted) < 1e-7


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("layers", "tie"), [(1, False), (2, False), (2, True)])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (9, 1), (6, 5)])
def test_agreement_with_the_oracle(
    activation: str, layers: int, tie: bool, threads: int, steps: int, batch: int
) -> None:
    case = Case(config(activation, layers=layers, tie=tie, threads=threads), steps=steps, batch=batch)
    loss_steps = (steps + 1) // 2
    wanted, _ = oracle.gradients(
        case.network.named, case.inputs, case.targets, case.states, activation, loss_steps, reset=case.reset
    )
    loss = oracle.loss(
        case.network.named, case.inputs, case.targets, case.states, activation, loss_steps, reset=case.reset
    )
    assert case.loss(loss_steps) == pytest.approx(loss, rel=1e-13)
    found = case.gradients(loss_steps)
    for name in found:
        np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=1e-13 * max(1, np.abs(wanted[name]).max()))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_float32_is_the_same_kernel(activation: str) -> None:
    """Against the float64 gradient of the same weights, to float32's rounding."""
    case = Case(config(activation, d=20, hidden=24, precision="float32"), vocabulary=50, steps=10, batch=4)
    parameters = {name: value.astype(np.float64) for name, value in case.network.named.items()}
    states = [state.astype(np.float64) for state in case.states]
    wanted, _ = oracle.gradients(parameters, case.inputs, case.targets, states, activation, 10, reset=case.reset)
    for name, found in case.gradients(10).items():
        assert found.dtype == np.float32
        assert relative_error(found.astype(np.float64), wanted[name]) < 2e-5, name


def test_a_frozen_embedding_has_no_gradient() -> None:
    settings = config()
    frozen = settings.model_copy(update={"embedding": settings.embedding.model_copy(update={"trainable": False})})
    assert set(Case(frozen).gradients(7)) == set(Case(settings).gradients(7)) - {"embedding.table"}


def test_the_gradient_does_not_depend_on_the_number_of_threads() -> None:
    found = [Case(config(threads=threads), vocabulary=40, batch=5).gradients(7) for threads in (1, 2)]
    for name in found[0]:
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-12, atol=1e-13)


def test_the_same_threads_give_the_same_bits() -> None:
    first, second = (Case(config(precision="float32"), vocabulary=40, batch=5).gradients(7) for _ in range(2))
    for name in first:
        assert first[name].tobytes() == second[name].tobytes()
