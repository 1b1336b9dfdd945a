"""The section `model`."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from rnnlm.config.base import sections
from rnnlm.config.network import Dropout, Elman, Lstm, Mixture, Model, Scrn, UniformWeights
from rnnlm.network.cells import CELLS
from rnnlm.network.cells.elman import ACTIVATIONS
from rnnlm.network.outputs import OUTPUTS


def model(**values: Any) -> Model:
    return Model.model_validate(values)


def test_the_types_are_those_of_the_registries() -> None:
    assert set(sections(Model, "cell").types) == set(CELLS)
    assert set(sections(Model, "output").types) == set(OUTPUTS)
    assert set(get_args(Elman.model_fields["activation"].annotation)) == set(ACTIVATIONS)


def test_the_options_of_each() -> None:
    lstm = {"type": "lstm", "peepholes": True, "coupled_gates": True, "forget_bias": 2.0}
    assert model(cell=lstm).cell == Lstm(peepholes=True, coupled_gates=True, forget_bias=2.0)
    assert model(cell={"type": "scrn", "context": 3}).cell == Scrn(context=3, context_decay=0.95)
    assert model(output={"type": "mixture", "softmaxes": 7}).output == Mixture(softmaxes=7)
    assert model(recurrent_init="uniform").recurrent_init == UniformWeights(scale=0.1)
    assert model().recurrent_init is None


@pytest.mark.parametrize(
    "values",
    [
        {"cell": {"type": "gru", "peepholes": True}},
        {"cell": {"type": "lstm", "activation": "tanh"}},
        {"output": {"type": "softmax", "softmaxes": 3}},
        {"recurrent_init": {"type": "orthogonal", "scale": 0.1}},
    ],
)
def test_an_option_of_another_type_is_unknown(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        model(**values)


def test_a_bare_number_drops_before_between_and_after() -> None:
    assert model(dropout=0.3).dropout == Dropout(input=0.3, between=0.3, output=0.3)
    assert model(dropout=0).dropout == model().dropout == Dropout()


def test_what_is_dropped_of_each_layer() -> None:
    found = model(layers=3, dropout={"input": 0.1, "between": 0.2, "output": 0.3})
    assert found.dropout_rates == (0.1, 0.2, 0.2, 0.3)
    assert model(dropout=0.4).dropout_rates == (0.4, 0.4)


@pytest.mark.parametrize(
    ("dropout", "drops"),
    [(0, False), (0.1, True), ({"words": 0.1}, True), ({"recurrent": 0.1}, True), ({"between": 0.1}, False)],
)
def test_whether_anything_is_dropped(dropout: Any, drops: bool) -> None:
    assert model(dropout=dropout).drops is drops


def test_one_mask_for_all_steps_needs_a_mask() -> None:
    with pytest.raises(ValueError, match="variational goes with input, between or output; found 0 for all of them"):
        model(dropout={"variational": True, "words": 0.3})
    assert model(dropout={"variational": True, "output": 0.3}).dropout.variational


def test_the_sizes_of_the_layers() -> None:
    assert model(hidden=5, layers=3).sizes == (5, 5, 5)
    assert model(hidden=[5, 6]).sizes == model(hidden=[5, 6], layers=2).sizes == (5, 6)
    with pytest.raises(ValueError, match="hidden lists 2 layers; found layers: 3"):
        model(hidden=[5, 6], layers=3)


def test_the_activation_is_an_elmans() -> None:
    assert model(cell={"type": "elman", "activation": "relu"}).activation == "relu"
    with pytest.raises(AssertionError):
        _ = model(cell="lstm").activation


def test_a_context_is_less_than_its_layer() -> None:
    with pytest.raises(
        ValueError, match="cell.context must be less than hidden of every layer; found context: 40, hidden: 40"
    ):
        model(cell="scrn", hidden=[50, 40])
    assert model(cell="scrn", hidden=[50, 41]).sizes == (50, 41)


def test_a_mingru_has_no_recurrent_weights_to_drop() -> None:
    with pytest.raises(ValueError, match="dropout.recurrent drops numbers of H, which a mingru has not"):
        model(cell="mingru", dropout={"recurrent": 0.1})
