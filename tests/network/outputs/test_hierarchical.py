"""The hierarchical softmax: its tree, its distribution and draws, and what is refused."""

from __future__ import annotations

import heapq

import draws
import numpy as np
import pytest

from rnnlm.errors import InputError
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.outputs import Hierarchical
from rnnlm.network.outputs.hierarchical import tree
from rnnlm.network.protocols import Arrays, Objective, Rows

D_h = 24
COUNTS = {
    "zipf": 1 + 1_000_000 // np.arange(1, 41),
    "same": np.full(37, 3),
    "none": np.zeros(5, np.int64),
    "two": np.array([0, 9]),
    "unsorted": np.random.default_rng(0).integers(0, 50, 60),
    "deep": np.array([2**i for i in range(55)]),
}
every_tree = pytest.mark.parametrize("counts", COUNTS.values(), ids=COUNTS.keys())


def made(counts: np.ndarray) -> tuple[Hierarchical, Arrays, np.random.Generator]:
    """A layer with weights far from 0, its tables with them."""
    layer, generator = Hierarchical(D_h, 5, len(counts)), np.random.default_rng(0)
    parameters = layer.init(np.float64, generator)
    for value in parameters.values():
        value += generator.normal(0, 0.3, value.shape)
    return layer, parameters | layer.tables(counts), generator


def context() -> Context:
    return Context(Workspace(np.float64), 2)


def by_the_equations(p: Arrays, h: np.ndarray) -> np.ndarray:
    """y^ of each row, from the root down to each token."""
    z, V = h @ p["W"].T + p["b"], len(p["W"]) + 1
    y, waiting = np.full((len(h), V), np.nan), [(2 * V - 2, np.ones(len(h)))]
    while waiting:
        node, probability = waiting.pop()
        if node < V:
            y[:, node] = probability
        else:
            first = 1 / (1 + np.exp(-z[:, node - V]))
            zero, one = p["children"][node - V]
            waiting += [(zero, probability * first), (one, probability * (1 - first))]
    return y


@every_tree
def test_no_tree_has_shorter_paths(counts: np.ndarray) -> None:
    """Sum of count times length, against the sum of all nodes that Huffman's algorithm makes with a heap."""
    found, V, cost = tree.tables(counts), len(counts), 0
    heap = counts.tolist()
    heapq.heapify(heap)
    while len(heap) > 1:
        made = heapq.heappop(heap) + heapq.heappop(heap)
        heapq.heappush(heap, made)
        cost += made
    lengths = np.diff(found["starts"])
    assert int((counts * lengths).sum()) == cost
    assert sum(0.5 ** int(length) for length in lengths) == 1
    below = found["children"].reshape(-1)
    np.testing.assert_array_equal(np.sort(below), np.arange(2 * V - 2))


@every_tree
def test_paths_lead_from_the_root_to_the_tokens(counts: np.ndarray) -> None:
    found, V = tree.tables(counts), len(counts)
    for x in range(V):
        node = 2 * V - 2
        for j in range(found["starts"][x], found["starts"][x + 1]):
            assert found["nodes"][j] == node - V
            node = found["children"][node - V, found["sides"][j]]
        assert node == x


@every_tree
def test_scores_are_those_of_the_equations(counts: np.ndarray) -> None:
    layer, parameters, generator = made(counts)
    h = generator.normal(size=(300, D_h))
    targets = generator.integers(0, layer.V, 300).astype(np.int32)
    y = by_the_equations(parameters, h)
    own = y[np.arange(300), targets]
    for details in (False, True):
        found = layer.scores(parameters, Rows(h, targets), context(), details)
        np.testing.assert_allclose(found.log_probability, np.log(own), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found.rank, 1 + (y > own[:, None] * (1 + 1e-9)).sum(axis=1))
    np.testing.assert_allclose(found.entropy, -(y * np.log(y)).sum(axis=1), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.alternative, y.argmax(axis=1))


@every_tree
def test_gradients_are_those_of_the_equations(counts: np.ndarray) -> None:
    """Of dense dJ/dz over all nodes."""
    layer, p, generator = made(counts)
    N, scale = 200, 0.25
    h, targets = generator.normal(size=(N, D_h)), generator.integers(0, layer.V, N).astype(np.int32)
    gradients, dh = {"b": np.full_like(p["b"], np.nan)}, np.full((N, D_h), np.nan)
    found = layer.backward(p, gradients, Rows(h, targets), Objective(scale), dh, context())
    dz = np.zeros((N, layer.V - 1))
    for i, x in enumerate(targets):
        for j in range(p["starts"][x], p["starts"][x + 1]):
            n = p["nodes"][j]
            dz[i, n] = 1 / (1 + np.exp(-(h[i] @ p["W"][n] + p["b"][n]))) - (1 - p["sides"][j])
    np.testing.assert_allclose(found.J, -np.log(by_the_equations(p, h)[np.arange(N), targets]).sum(), rtol=1e-9)
    assert found.rows is not None
    nodes, rows = found.rows["W"]
    assert set(nodes) == set(np.flatnonzero(dz.any(axis=0)))
    dW = np.zeros_like(p["W"])
    dW[nodes] = rows
    np.testing.assert_allclose(dW, scale * dz.T @ h, rtol=0, atol=1e-12)
    np.testing.assert_allclose(gradients["b"], scale * dz.sum(axis=0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(dh, scale * dz @ p["W"], rtol=0, atol=1e-12)


def test_the_probabilities_sum_to_one() -> None:
    """Over 5,000 tokens, in 1,000 contexts."""
    layer, parameters, generator = made(1 + 1_000_000 // np.arange(1, 5001))
    packed = layer.pack(parameters, context())
    log_y = layer.log_distribution(packed, generator.normal(size=(1000, D_h)), None, 2)
    np.testing.assert_allclose(np.exp(log_y).sum(axis=1), 1, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [1e3, 1e6])
def test_weights_without_measure_give_no_nan(size: float) -> None:
    layer, parameters, generator = made(COUNTS["zipf"])
    h, targets = size * generator.normal(size=(50, D_h)), generator.integers(0, 40, 50).astype(np.int32)
    gradients, dh = {"b": np.empty(39)}, np.empty((50, D_h))
    found = layer.backward(parameters, gradients, Rows(h, targets), Objective(1.0), dh, context())
    assert np.isfinite(found.J)
    assert np.isfinite(dh).all()
    assert np.isfinite(layer.log_distribution(layer.pack(parameters, context()), h, None, 1)).all()


@draws.every_way
def test_draws_follow_the_distribution(temperature: float, excluded: list[int]) -> None:
    layer, parameters, generator = made(COUNTS["zipf"][:12])
    h, uniforms = generator.normal(size=(1, D_h)), generator.random(20_000)
    y = by_the_equations(parameters, h)[0]
    draws.check(layer, parameters, h, y, uniforms, temperature, excluded, 1e-9)


def test_multiplications_are_those_of_the_paths_by_zipfs_law() -> None:
    """A Huffman code is less than one decision longer than the entropy."""
    V = 10_000
    probability = 1 / np.arange(1, V + 1) / (1 / np.arange(1, V + 1)).sum()
    entropy = -(probability * np.log2(probability)).sum()
    assert entropy <= Hierarchical(400, 5, V).multiplications() / 400 < entropy + 1


def test_a_vocabulary_of_one_token() -> None:
    with pytest.raises(InputError, match="hierarchical needs a vocabulary of at least 2 tokens; found 1"):
        Hierarchical(D_h, 5, 1)
