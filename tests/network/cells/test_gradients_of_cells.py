"""Every cell with every option: its gradients are the derivatives of its loss, and its equations PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from every_cell import every_cell
from networks import Case, checked, config


@every_cell
@pytest.mark.parametrize(("layers", "tie", "dropout", "loss_steps"), [(1, False, 0.0, 7), (3, True, 0.3, 4)])
def test_gradients(model: dict[str, Any], layers: int, tie: bool, dropout: float, loss_steps: int) -> None:
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
@pytest.mark.parametrize("layers", [1, 3])
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
@pytest.mark.parametrize("layers", [1, 3])
def test_gradients_with_layer_normalisation(model: dict[str, Any], layers: int) -> None:
    dropout = {"dropout": 0.3} if layers == 3 else {}
    penalties = {"activation": 0.5, "temporal": 0.5} if layers == 3 else {}
    found = checked(Case(config(layers=layers, model=model | dropout | {"layer_norm": True}, penalties=penalties)), 5)
    assert found.passed, found.verdict
    assert {one.name for one in found.parameters} >= {f"norm.{layers - 1}.g", "norm.0.b"}
    assert all(one.relative < 1e-7 and one.complex_step < 1e-12 for one in found.parameters)
