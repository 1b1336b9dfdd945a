"""Every gradient of the compiled kernels, in float64: of the Elman cell against central differences written here and
against the oracle; of every cell with every option against ``gradients.check`` and PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from every_cell import every_cell
from gradcheck import numeric, relative_error
from networks import Case, checked, config, smooth_case

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


@every_cell
@pytest.mark.parametrize(("layers", "tie", "dropout", "loss_steps"), [(1, False, 0.0, 7), (3, True, 0.3, 4)])
def test_every_cell(model: dict[str, Any], layers: int, tie: bool, dropout: float, loss_steps: int) -> None:
    found = checked(Case(config(layers=layers, tie=tie, dropout=dropout, model=model)), loss_steps)
    assert found.passed, found.verdict
    assert found.frozen == ()
    for one in found.parameters:
        assert one.relative < 1e-7, one.name
        assert one.complex_step < 1e-13, one.name


@every_cell
def test_layers_of_different_sizes(model: dict[str, Any]) -> None:
    case = Case(config(model=model | {"hidden": [7, 4, 5]}))
    sizes = [14, 8, 10] if model["cell"]["type"] == "lstm" else [7, 4, 5]
    assert [state.shape[1] for state in case.network.initial_states(1)] == sizes
    assert checked(case, 5).passed


@pytest.mark.parametrize(
    ("model", "module"),
    [
        ({"cell": {"type": "elman", "activation": "tanh"}}, "RNN"),
        ({"cell": {"type": "elman", "activation": "relu"}}, "RNN"),
        ({"cell": "gru"}, "GRU"),
        ({"cell": "lstm"}, "LSTM"),
    ],
    ids=str,
)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(("precision", "close"), [("float64", 1e-12), ("float32", 1e-5)])
def test_pytorch_agrees(model: dict[str, Any], module: str, layers: int, precision: str, close: float) -> None:
    """States, losses and every gradient, from the same weights on the same window."""
    torch = pytest.importorskip("torch")
    case = Case(config(d=6, hidden=8, layers=layers, precision=precision, model=model), 50, steps=9, resets=False)
    parameters, dtype = case.network.named, getattr(torch, precision)
    options = {"nonlinearity": model["cell"]["activation"]} if module == "RNN" else {}
    embedding, output = torch.nn.Embedding(50, 6, dtype=dtype), torch.nn.Linear(8, 50, dtype=dtype)
    rnn = getattr(torch.nn, module)(6, 8, layers, dtype=dtype, **options)
    pairs = {"embedding.table": embedding.weight, "output.U": output.weight, "output.b2": output.bias}
    for layer in range(layers):
        pairs[f"cell.{layer}.I"] = getattr(rnn, f"weight_ih_l{layer}")
        pairs[f"cell.{layer}.H"] = getattr(rnn, f"weight_hh_l{layer}")
        pairs[f"cell.{layer}.b1"] = getattr(rnn, f"bias_ih_l{layer}")
    turned = [name for name in pairs if name.endswith((".I", ".H", ".U"))]
    with torch.no_grad():
        for name, tensor in pairs.items():
            tensor.copy_(torch.from_numpy(parameters[name].T if name in turned else parameters[name]))
        for layer in range(layers):
            bias = getattr(rnn, f"bias_hh_l{layer}")
            bias.zero_()
            if module == "GRU":
                bias[16:] = torch.from_numpy(parameters[f"cell.{layer}.bh"])
    states = torch.from_numpy(np.stack(case.states))
    start = (states[..., :8].contiguous(), states[..., 8:].contiguous()) if module == "LSTM" else states

    h, _ = rnn(embedding(torch.from_numpy(case.inputs).long()), start)
    logits = output(h)
    loss = torch.nn.functional.cross_entropy(
        logits.reshape(-1, 50), torch.from_numpy(case.targets).long().reshape(-1), reduction="sum"
    )
    (loss / case.batch).backward()

    assert case.loss(9) == pytest.approx(loss.item() / case.batch, rel=close)
    np.testing.assert_allclose(case.forward().hidden()[-1][0], h.detach().numpy(), rtol=0, atol=close)
    for name, found in case.gradients(9).items():
        if name.endswith(".bh"):
            wanted = getattr(rnn, f"bias_hh_l{name.split('.')[1]}").grad.numpy()[16:]
        else:
            wanted = pairs[name].grad.numpy()
        wanted = wanted.T if name in turned else wanted
        np.testing.assert_allclose(found, wanted, rtol=0, atol=close * max(1, np.abs(wanted).max()), err_msg=name)


@every_cell
@pytest.mark.parametrize(
    "dropout",
    [
        {"words": 0.3},
        {"input": 0.3, "between": 0.2, "output": 0.4},
        {"input": 0.3, "between": 0.3, "output": 0.3, "variational": True, "words": 0.2},
        {"output": 0.3, "recurrent": 0.4},
    ],
    ids=lambda dropout: ", ".join(dropout),
)
@pytest.mark.parametrize("layers", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_gradients_with_every_dropout(model: dict[str, Any], dropout: dict[str, Any], layers: int) -> None:
    if model["cell"]["type"] == "mingru" and "recurrent" in dropout:
        pytest.skip("it has no H")
    found = checked(Case(config(layers=layers, tie=layers == 3, model=model | {"dropout": dropout})), 5)
    assert found.passed, found.verdict
    assert found.dropping
    assert all(one.relative < 1e-7 for one in found.parameters)


@pytest.mark.parametrize("penalties", [{"label_smoothing": 0.1}, {"activation": 2.0}, {"temporal": 1.0}])
@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize(("vocabulary", "layers"), [(11, 1), (11, 3), (600, 2)])
def test_gradients_with_every_penalty(penalties: dict[str, float], tie: bool, vocabulary: int, layers: int) -> None:
    model = {"cell": "lstm", "dropout": {"output": 0.3}}
    settings = config(layers=layers, tie=tie, model=model, penalties=penalties)
    case = Case(settings, vocabulary)
    found = checked(case, 5)
    assert found.passed, found.verdict
    assert all(one.relative < 1e-7 for one in found.parameters)
    trace = case.forward((1, 1))
    plain_loss = case.network.backward(trace, case.targets, 5)[0]
    assert case.network.loss(case.forward((1, 1)), case.targets, 5) != pytest.approx(plain_loss, rel=1e-4), (
        "J has the penalty in it"
    )


@every_cell
@pytest.mark.parametrize("layers", [1, 2])
def test_gradients_with_layer_normalisation(model: dict[str, Any], layers: int) -> None:
    dropout = {"dropout": 0.3} if layers == 2 else {}
    penalties = {"activation": 0.5, "temporal": 0.5} if layers == 2 else {}
    found = checked(Case(config(layers=layers, model=model | dropout | {"layer_norm": True}, penalties=penalties)), 5)
    assert found.passed, found.verdict
    assert {one.name for one in found.parameters} >= {f"norm.{layers - 1}.g", "norm.0.b"}
    assert all(one.relative < 1e-7 and one.complex_step < 1e-12 for one in found.parameters)
