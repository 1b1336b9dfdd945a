"""The derivation of one step of an LSTM and a GRU: every quantity passes, and a wrong rule does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import Case, config

from rnnlm.gradients import commands
from rnnlm.gradients.derivation import gated
from rnnlm.gradients.derivation.records import Quantity
from rnnlm.gradients.window import Window

every_cell = pytest.mark.parametrize("cell", gated.CELLS)


def case(cell: str, tie: bool = False, seed: int = 3) -> Case:
    return Case(config(tie=tie, model={"cell": cell}), vocabulary=9, steps=1, batch=1, seed=seed, resets=False)


def walked(found: Case, edge: int = 0) -> list[Quantity]:
    window = Window(found.inputs, found.targets, found.reset, found.states, 1, 0)
    return [record for record in gated.gated(found.network, window, edge) if isinstance(record, Quantity)]


@every_cell
@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("edge", [0, 2])
def test_every_quantity_passes_and_is_the_kernels(cell: str, tie: bool, edge: int) -> None:
    own = case(cell, tie)
    found = walked(own, edge)
    assert [one.name for one in found if not one.passed] == []
    assert sum(one.against == "central differences" for one in found) >= 20
    by_name = {one.name: one.value for one in found}
    gradients = own.gradients(1)
    for name in ("H", "I", "b1"):
        wanted = gradients[f"cell.0.{name}"]
        np.testing.assert_allclose(by_name[f"dJ/d{name}"].reshape(wanted.shape), wanted, rtol=0, atol=1e-13)
    np.testing.assert_allclose(by_name["dJ/db2"][0], gradients["output.b2"], rtol=0, atol=1e-13)
    if cell == "gru":
        np.testing.assert_allclose(by_name["dJ/dbh"][0], gradients["cell.0.bh"], rtol=0, atol=1e-13)
    if not tie:
        table = gradients["embedding.table"][own.inputs[0, 0]]
        np.testing.assert_allclose(by_name["dJ/de(t)"][0], table, rtol=0, atol=1e-13)


@every_cell
def test_after_a_reset_the_state_is_the_initial_one(cell: str) -> None:
    own = case(cell)
    own.reset[0, 0] = True
    own.network.initial = [np.full(own.network.cells[0].state_size, 0.25)]
    found = walked(own)
    assert all(one.passed for one in found)
    assert (next(one.value for one in found if one.name == "h(t-1)") == 0.25).all()


@every_cell
@pytest.mark.parametrize("number", range(8))
def test_a_wrong_rule_is_found(cell: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule of the cell, with a factor that is not there."""
    right = gated.CELLS[cell]
    rule = right.back[number]

    def wrong(v: Any, d: Any) -> Any:
        return 1.1 * rule.value(v, d)

    rules = tuple(one._replace(value=wrong) if one is rule else one for one in right.back)
    monkeypatch.setitem(gated.CELLS, cell, right._replace(back=rules))
    failed = [one.name for one in walked(case(cell)) if not one.passed]
    assert failed[0] == f"dJ/d{rule.of}"


@every_cell
def test_the_command(cell: str, call: Any) -> None:
    status, out, _ = call("derive", "--cell", cell, "--hidden", 2)
    assert status == 0
    assert "quantities checked, all of them right" in out
    assert "dJ/dH = dJ/dH_" in out
    status, out, err = call("derive", "--cell", cell, "--activation", "relu")
    assert (status, out) == (2, "")
    assert f"does not go with --cell {cell}" in err


def test_a_model_with_several_layers_is_refused(tmp_path: Any) -> None:
    network = Case(config(layers=2, model={"cell": "lstm"})).network
    with pytest.raises(Exception, match="this model's lstm has several layers"):
        commands._only_plain(type("Source", (), {"network": network})())  # type: ignore[arg-type]
