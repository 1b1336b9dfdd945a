"""Direct n-gram connections: which weights a context has, and what they come to know."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import Case, config

from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.outputs import DirectSoftmax, Sampled, Softmax
from rnnlm.network.outputs.direct import contexts, features
from rnnlm.network.outputs.direct.contexts import NONE, WIDTH
from rnnlm.network.protocols import Arrays, Objective, Rows

D_h, V = 6, 40


def rows(count: int, n: int) -> Rows:
    generator = np.random.default_rng(4)
    h, targets = generator.normal(size=(count, D_h)), generator.integers(0, V, count).astype(np.int32)
    return Rows(h, targets, generator.integers(-1, V, (count, n)).astype(np.int32))


def made(layer: DirectSoftmax | Sampled) -> Arrays:
    generator = np.random.default_rng(0)
    parameters = layer.init(np.float64, generator)
    for value in parameters.values():
        value += generator.normal(0, 0.4, value.shape)
    return parameters | layer.tables(np.arange(1, V + 1))


def context(threads: int = 2) -> Context:
    return Context(Workspace(np.float64), threads)


def test_a_context_keeps_its_weights() -> None:
    """Models that are on disk are read by the same hash."""
    history = np.array([[5, 7, 9], [-1, 7, 9], [9, 7, 5], [-1, -1, 0]], np.int32)
    found = contexts.begins(history, 1000)
    assert found.tolist() == GOLDEN
    assert found[0, :2].tolist() == found[1, :2].tolist(), "contexts of the same last tokens"


GOLDEN = [[980, 822, 436], [980, 822, -1], [3, 920, 859], [915, -1, -1]]


def test_contexts_are_spread_evenly() -> None:
    history = np.stack(np.meshgrid(np.arange(100), np.arange(100)), axis=-1).reshape(-1, 2).astype(np.int32)
    found = contexts.begins(history, 50)
    counts = np.bincount(found[:, 1], minlength=50)
    assert abs(counts - 200).max() < 5 * np.sqrt(200)
    assert len(np.unique(contexts.begins(history, 1 << 40)[:, 1])) == 10_000


@pytest.mark.parametrize("size", [V, 48, 49, 1000])
def test_the_features_of_a_context_are_its_neighbours_in_the_table(size: int) -> None:
    """Behind the table's end is its beginning."""
    layer = DirectSoftmax(D_h, 5, V, order=3, size=size)
    assert layer.blocks == -(-size // WIDTH)
    given, D = rows(30, 2), np.random.default_rng(1).normal(size=(layer.blocks, WIDTH))
    assert given.history is not None
    begins, flat = contexts.begins(given.history, layer.blocks), D.reshape(-1)
    wanted = np.zeros((30, V))
    for r in range(30):
        for begin in begins[r]:
            if begin != NONE:
                wanted[r] += [flat[(WIDTH * begin + j) % flat.size] for j in range(V)]
    found, tokens = np.zeros((30, V)), np.array([3, 17, 39], np.int32)
    features.add(2, D, begins, found)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14)
    some, targets = np.zeros((30, 3)), np.zeros(30)
    features.add_some(2, D, begins, tokens, given.targets, some, targets)
    np.testing.assert_allclose(some, wanted[:, tokens], rtol=0, atol=1e-14)
    np.testing.assert_allclose(targets, wanted[np.arange(30), given.targets], rtol=0, atol=1e-14)


def test_without_any_context_it_is_the_softmax() -> None:
    layer = DirectSoftmax(D_h, 5, V, order=3, size=200)
    parameters, given = made(layer), rows(30, 2)
    given = given._replace(history=np.full((30, 2), -1, np.int32))
    plain = {"U": np.ascontiguousarray(parameters["U"].T), "b2": parameters["b2"]}
    found = layer.scores(parameters, given, context(), details=True)
    wanted = Softmax(D_h, 5, V).scores(plain, given, context(), details=True)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    dh = np.empty_like(given.h)
    gradients = {name: np.empty_like(value) for name, value in parameters.items() if name != "D"}
    by_rows = layer.backward(parameters, gradients, given, Objective(1.0), dh, context()).rows
    assert by_rows is not None
    assert by_rows["D"][0].size == 0


@pytest.mark.parametrize("draw", [None, (1, 2)])
def test_only_touched_blocks_have_a_gradient(draw: tuple[int, int] | None) -> None:
    layer = Sampled(D_h, 5, V, samples=5, direct={"order": 4, "size": 5000})
    parameters, given = made(layer), rows(7, 3)
    gradients = {"b2": np.empty(V)}
    found = layer.backward(parameters, gradients, given, Objective(1.0, draw=draw), np.empty_like(given.h), context())
    assert found.rows is not None
    blocks, dD = found.rows["D"]
    assert len(blocks) == len(np.unique(blocks)) < 200
    if draw is not None:  # a drawn token may be the target of a row whose context nobody else has
        assert (np.abs(dD).max(axis=1) > 0).mean() > 0.9
    else:
        assert (np.abs(dD).max(axis=1) > 0).all()


def test_rows_in_parts_are_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = DirectSoftmax(D_h, 5, V, order=3, size=500)
    parameters, given = made(layer), rows(50, 2)

    def results() -> list[Any]:
        dh, gradients = np.empty_like(given.h), {"U": np.empty((V, D_h)), "b2": np.empty(V)}
        found = layer.backward(parameters, gradients, given, Objective(0.5), dh, context())
        assert found.rows is not None
        blocks, dD = found.rows["D"]
        scores = layer.scores(parameters, given, context(), details=True)
        return [found.J, gradients["U"], gradients["b2"], dh, blocks, dD.copy(), *scores]

    whole = results()
    monkeypatch.setattr("rnnlm.kernels.cpu.SOFTMAX_BYTES", 7 * V * 8)
    for one, other in zip(results(), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-13)


def test_a_window_in_two_parts_sees_the_same_tokens() -> None:
    case = Case(config(model={"output": {"type": "direct", "order": 5, "size": 600}}), V, steps=9)
    whole = case.forward()
    scores = case.network.scores(whole, case.targets).log_probability
    states = [state.copy() for state in case.network.states_after(whole, 4)]
    assert states[-1].shape == (case.batch, 4)
    rest = case.network.forward(type(whole.window)(case.inputs[4:], case.reset[4:], states))
    found = case.network.scores(rest, case.targets[4:]).log_probability
    np.testing.assert_allclose(found, scores[4:], rtol=0, atol=1e-13)
    forgotten = [*states[:-1], case.network.initial_states(case.batch)[-1]]
    rest = case.network.forward(type(whole.window)(case.inputs[4:], case.reset[4:], forgotten))
    assert np.abs(case.network.scores(rest, case.targets[4:]).log_probability - scores[4:]).max() > 0.01


def test_no_context_reaches_over_a_reset() -> None:
    case = Case(config(model={"output": {"type": "direct", "order": 5, "size": 600}}), V, steps=9, resets=False)
    case.reset[5, 1] = True
    seen = case.forward().seen
    assert seen is not None
    assert seen[5, 1].tolist() == [-1, -1, -1, case.inputs[5, 1]]
    assert seen[7, 1].tolist() == [-1, *case.inputs[5:8, 1]]
    assert seen[7, 0].tolist() == case.inputs[4:8, 0].tolist()
    assert seen[0, 0].tolist() == [*case.states[-1][0, 1:], case.inputs[0, 0]]
