"""The class-based softmax: its classes, its distribution and draws, and what is refused."""

from __future__ import annotations

import draws
import numpy as np
import pytest

from rnnlm.errors import InputError
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.outputs import Classes
from rnnlm.network.outputs.classes import assignment
from rnnlm.network.protocols import Arrays, Objective, Rows

D_h = 24


def made(V: int, classes: int | None = None, scattered: bool = False) -> tuple[Classes, Arrays, np.random.Generator]:
    """A layer with weights far from 0, its tables with them. scattered: tokens of a class are no neighbours."""
    layer, generator = Classes(D_h, 5, V, False, classes), np.random.default_rng(0)
    parameters = layer.init(np.float64, generator)
    for value in parameters.values():
        value += generator.normal(0, 0.4, value.shape)
    own = generator.permutation(np.arange(V, dtype=np.int32) % layer.C) if scattered else None
    return layer, parameters | layer.tables(zipf(V), own), generator


def zipf(V: int) -> np.ndarray:
    return 1 + 1_000_000 // np.arange(1, V + 1)


def context() -> Context:
    return Context(Workspace(np.float64), 2)


def by_the_equations(p: Arrays, h: np.ndarray) -> np.ndarray:
    """y^ of each row, token by token."""
    e_c, e = np.exp(h @ p["U_c"] + p["b_c"]), np.exp(h @ p["W"].T + p["b2"])
    c, y = e_c / e_c.sum(axis=1, keepdims=True), np.empty(e.shape)
    for x, k in enumerate(p["class"]):
        y[:, x] = c[:, k] * e[:, x] / e[:, p["class"] == k].sum(axis=1)
    return y


# 500 rows of one class are more than a block.
@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize(("V", "classes"), [(1, None), (2, None), (40, 40), (40, 1), (700, None), (700, 520)])
def test_scores_are_those_of_the_equations(V: int, classes: int | None, scattered: bool) -> None:
    layer, parameters, generator = made(V, classes, scattered)
    h = generator.normal(size=(500, D_h))
    targets = generator.integers(0, V, 500).astype(np.int32)
    y = by_the_equations(parameters, h)
    own = y[np.arange(500), targets]
    for details in (False, True):
        found = layer.scores(parameters, Rows(h, targets), context(), details)
        np.testing.assert_allclose(found.log_probability, np.log(own), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.rank, 1 + (y > own[:, None] * (1 + 1e-12)).sum(axis=1))
    np.testing.assert_allclose(found.entropy, -(y * np.log(y)).sum(axis=1), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.alternative, y.argmax(axis=1))
    np.testing.assert_allclose(found.alternative_log_probability, np.log(y.max(axis=1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scattered", [False, True])
def test_gradients_are_those_of_the_equations(scattered: bool) -> None:
    """Of dense delta2 over the whole vocabulary, with blocks of more than one class's rows."""
    layer, p, generator = made(40, 3, scattered)
    N, scale = 900, 0.25
    h, targets = generator.normal(size=(N, D_h)), generator.integers(0, 30, N).astype(np.int32)
    gradients = {name: np.full_like(p[name], np.nan) for name in layer.shapes() if name != "W"}
    dh = np.empty((N, D_h))
    found = layer.backward(p, gradients, Rows(h, targets), Objective(scale), dh, context())
    each, k = np.arange(N), p["class"][targets]
    np.testing.assert_allclose(found.J, -np.log(by_the_equations(p, h)[each, targets]).sum(), rtol=1e-12)
    same = k[:, None] == p["class"]
    e_c, e = np.exp(h @ p["U_c"] + p["b_c"]), np.exp(h @ p["W"].T + p["b2"]) * same
    delta_c, delta2 = e_c / e_c.sum(axis=1, keepdims=True), e / e.sum(axis=1, keepdims=True)
    delta_c[each, k] -= 1
    delta2[each, targets] -= 1
    assert found.rows is not None
    tokens, rows = found.rows["W"]
    assert set(tokens) == set(np.flatnonzero(same.any(axis=0)))
    dW = np.zeros_like(p["W"])
    dW[tokens] = rows
    wanted = {"U_c": h.T @ delta_c, "b_c": delta_c.sum(axis=0), "b2": delta2.sum(axis=0), "W": delta2.T @ h}
    for name, value in wanted.items():
        own = dW if name == "W" else gradients[name]
        np.testing.assert_allclose(own, scale * value, rtol=0, atol=1e-11, err_msg=name)
    np.testing.assert_allclose(dh, scale * (delta_c @ p["U_c"].T + delta2 @ p["W"]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scattered", [False, True])
def test_the_probabilities_sum_to_one(scattered: bool) -> None:
    """Over 5,000 tokens, in 1,000 contexts."""
    layer, parameters, generator = made(5000, None, scattered)
    packed = layer.pack(parameters, context())
    log_y = layer.log_distribution(packed, generator.normal(size=(1000, D_h)), None, 2)
    np.testing.assert_allclose(np.exp(log_y).sum(axis=1), 1, rtol=0, atol=1e-9)


@draws.every_way
def test_draws_follow_the_distribution(temperature: float, excluded: list[int]) -> None:
    layer, parameters, generator = made(12, 4, True)
    h, uniforms = generator.normal(size=(1, D_h)), generator.random(20_000)
    y = by_the_equations(parameters, h)[0]
    draws.check(layer, parameters, h, y, uniforms, temperature, excluded)


def test_classes_by_frequency_are_those_of_mikolovs_rule() -> None:
    """As a loop over the words, in which a sum above a class's share ends the class."""
    counts, classes = zipf(3000), 50
    total, roots = counts.sum(), np.sqrt(counts / counts.sum())
    assert total > 0
    wanted, k, sum_ = [], 0, 0.0
    for root in roots / roots.sum():
        sum_ += root
        wanted.append(k)
        if sum_ > (k + 1) / classes and k < classes - 1:
            k += 1
    np.testing.assert_array_equal(assignment.by_frequency(counts, classes), wanted)


@pytest.mark.parametrize("classes", [1, 2, 7, 39, 40])
@pytest.mark.parametrize("kind", ["zipf", "same", "one", "none", "unsorted"])
def test_no_class_by_frequency_is_empty(classes: int, kind: str) -> None:
    counts = {
        "zipf": zipf(40), "same": np.full(40, 3), "one": np.array([1_000_000, *[0] * 39]), "none": np.zeros(40, int),
        "unsorted": np.random.default_rng(0).permutation(zipf(40)),
    }[kind]  # fmt: skip
    own = assignment.by_frequency(counts, classes)
    assert (np.bincount(own) > 0).all()
    assert own.max() == classes - 1
    falling = own[np.argsort(-counts, kind="stable")]
    assert (np.diff(falling) >= 0).all()


def test_multiplications_are_those_of_the_classes_by_zipfs_law() -> None:
    V, C = 10_000, 100
    probability = 1 / np.arange(1, V + 1) / (1 / np.arange(1, V + 1)).sum()
    own = assignment.by_frequency((1e9 * probability).astype(int), C)
    words = sum(probability[own == k].sum() * (own == k).sum() for k in range(C))
    assert Classes(400, 5, V).multiplications() == pytest.approx(400 * (C + words), rel=0.02)


def test_more_classes_than_tokens() -> None:
    with pytest.raises(InputError, match="classes: found 41; the vocabulary has 40 tokens, and a class needs one"):
        Classes(D_h, 5, 40, False, 41)
