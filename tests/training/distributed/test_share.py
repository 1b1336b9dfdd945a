"""Shares of a batch: their gradients add up to that of the batch, with the masks that it has."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from every_cell import every_cell
from networks import Case, config

from rnnlm.network.layers import dropout
from rnnlm.network.network import Window
from rnnlm.network.parameters import Gradients
from rnnlm.network.share import Share

MASK = (3, 11)


def as_tables(found: Gradients, vocabulary: int) -> dict[str, np.ndarray]:
    """Copies of all gradients, those by rows as whole tables."""
    tables = {name: array.copy() for name, array in found.dense.items()}
    for name, (tokens, rows) in found.rows.items():
        tables[name] = np.zeros((vocabulary, rows.shape[1]))
        tables[name][tokens] = rows
    return tables


def check(settings: Any, bounds: list[int]) -> None:
    case = Case(settings, steps=6)
    network, batch = case.network, case.inputs.shape[1]
    assert bounds[-1] == batch
    states = [state + 0.1 for state in network.initial_states(batch)]
    trace = network.forward(Window(case.inputs, case.reset, states), MASK)
    wanted_loss, gradients = network.backward(trace, case.targets, 4)
    wanted = as_tables(gradients, network.vocabulary_size)
    loss, found = 0.0, {name: np.zeros_like(array) for name, array in wanted.items()}
    for first, last in pairwise(bounds):
        own = slice(first, last)
        share = Share(first, batch, batch)
        window = Window(case.inputs[:, own], case.reset[:, own], [state[own] for state in states], share=share)
        part, gradients = network.backward(network.forward(window, MASK), case.targets[:, own], 4)
        loss += part
        for name, array in as_tables(gradients, network.vocabulary_size).items():
            found[name] += array
    assert loss == pytest.approx(wanted_loss, rel=1e-13)
    for name, array in wanted.items():
        assert np.abs(array).max() > 0
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-13, err_msg=name)


@every_cell
@pytest.mark.parametrize("variational", [False, True])
def test_the_gradients_of_shares_add_up_to_that_of_the_batch(model: dict[str, Any], variational: bool) -> None:
    rates = {"input": 0.2, "between": 0.3, "output": 0.4, "words": 0.2, "variational": variational}
    if model["cell"]["type"] != "mingru":  # which has no matrix that multiplies the state
        rates["recurrent"] = 0.2
    check(config(layers=2, model=model | {"dropout": rates}), [0, 1, 3])


@pytest.mark.parametrize("output", ["softmax", "adaptive", "classes", "hierarchical", "mixture", "sampled"])
def test_so_do_those_of_penalties_smoothing_and_tied_weights(output: str) -> None:
    penalties = {"activation": 0.5, "temporal": 0.7} | ({"label_smoothing": 0.1} if output == "softmax" else {})
    tie = output in ("softmax", "mixture")
    check(config(tie=tie, dropout=0.3, model={"output": output, "layer_norm": True}, penalties=penalties), [0, 2, 3])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("variational", [False, True])
def test_a_share_has_the_numbers_of_the_whole_mask(threads: int, variational: bool) -> None:
    T, B, D = 5, 7, 6
    settings = config(model={"dropout": {"output": 0.4, "variational": variational}}).model
    whole = np.ones((T, B, D))
    dropout.Masks(settings, *MASK, threads).numbers(whole, 1, B)
    assert 0 < (whole == 0).sum() < whole.size
    for first, last in ((0, 3), (3, 4), (4, 7)):
        own = np.ones((T, last - first, D))
        dropout.Masks(settings, *MASK, threads, Share(first, B, B)).numbers(own, 1, last - first)
        np.testing.assert_array_equal(own, whole[:, first:last])
