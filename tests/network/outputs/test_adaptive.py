"""The adaptive softmax: its clusters, its distribution and draws, and what is refused."""

from __future__ import annotations

import draws
import numpy as np
import pytest

from rnnlm.errors import InputError
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.outputs import Adaptive
from rnnlm.network.outputs.adaptive import cutoffs
from rnnlm.network.protocols import Arrays, Draw, Objective, Rows

D_h = 24


def made(V: int, chosen: list[int] | None = None, seed: int = 0) -> tuple[Adaptive, Arrays, np.random.Generator]:
    """A layer with weights far from 0."""
    layer, generator = Adaptive(D_h, 5, V, False, chosen, 2.0), np.random.default_rng(seed)
    parameters = layer.init(np.float64, generator)
    for value in parameters.values():
        value += generator.normal(0, 0.4, value.shape)
    return layer, parameters, generator


def context() -> Context:
    return Context(Workspace(np.float64), 2)


def by_the_equations(layer: Adaptive, p: Arrays, h: np.ndarray) -> np.ndarray:
    """y^ of each row, token by token."""

    def softmax(z: np.ndarray) -> np.ndarray:
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    assert isinstance(layer.cutoffs, tuple)
    a, bounds = softmax(h @ p["U"] + p["b2"]), [*layer.cutoffs, layer.V]
    y = np.empty((len(h), layer.V))
    for x in range(layer.V):
        k = sum(x >= c for c in layer.cutoffs)
        if k == 0:
            y[:, x] = a[:, x]
        else:
            q = softmax(h @ p[f"P_{k}"] @ p[f"U_{k}"] + p[f"b2_{k}"])
            y[:, x] = a[:, bounds[0] + k - 1] * q[:, x - bounds[k - 1]]
    return y


@pytest.mark.parametrize(("V", "chosen"), [(2, None), (3, None), (40, [10, 25]), (40, [1, 2, 39]), (700, [520])])
def test_scores_are_those_of_the_equations(V: int, chosen: list[int] | None) -> None:
    layer, parameters, generator = made(V, chosen)
    h = generator.normal(size=(90, D_h))
    targets = generator.integers(0, V, 90).astype(np.int32)
    y = by_the_equations(layer, parameters, h)
    own = y[np.arange(90), targets]
    for details in (False, True):
        found = layer.scores(parameters, Rows(h, targets), context(), details)
        np.testing.assert_allclose(found.log_probability, np.log(own), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.rank, 1 + (y > own[:, None]).sum(axis=1))
    np.testing.assert_allclose(found.entropy, -(y * np.log(y)).sum(axis=1), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.alternative, y.argmax(axis=1))
    np.testing.assert_allclose(found.alternative_log_probability, np.log(y.max(axis=1)), rtol=0, atol=1e-12)


def test_the_probabilities_sum_to_one() -> None:
    """Over 5,000 tokens, in 1,000 contexts."""
    layer, parameters, generator = made(5000)
    packed = layer.pack(parameters, context())
    log_y = layer.log_distribution(packed, generator.normal(size=(1000, D_h)), None, 2)
    np.testing.assert_allclose(np.exp(log_y).sum(axis=1), 1, rtol=0, atol=1e-9)


@draws.every_way
def test_draws_follow_the_distribution(temperature: float, excluded: list[int]) -> None:
    layer, parameters, generator = made(12, [4, 8])
    h, uniforms = generator.normal(size=(1, D_h)), generator.random(20_000)
    y = by_the_equations(layer, parameters, h)[0]
    draws.check(layer, parameters, h, y, uniforms, temperature, excluded)


def test_a_draw_of_the_cluster_first_is_one_of_the_whole_distribution() -> None:
    layer, parameters, generator = made(700, [100, 300])
    h, uniforms = generator.normal(size=(2000, D_h)), generator.random(2000)
    packed, none = layer.pack(parameters, context()), np.array([], np.int64)
    own, whole = np.empty(2000), np.empty(2000)
    first = layer.draw(packed, h, None, Draw(1.0, uniforms, None, own), 2)
    np.testing.assert_array_equal(first, layer.draw(packed, h, None, Draw(1.0, uniforms, none, whole), 2))
    np.testing.assert_allclose(own, whole, rtol=0, atol=1e-12)
    assert [(first < 100).any(), ((first >= 100) & (first < 300)).any(), (first >= 300).any()] == [True] * 3


def test_the_gradients_of_a_tied_head_that_is_partitioned_by_columns() -> None:
    """From 512 tokens on a head is; the numerical derivative along a random direction."""
    layer, generator = Adaptive(D_h, D_h, 900, True, [600, 800], 1.0), np.random.default_rng(5)
    parameters = layer.init(np.float64, generator) | {"E": generator.normal(0, 0.3, (900, D_h))}
    rows = Rows(generator.normal(size=(50, D_h)), generator.integers(0, 900, 50).astype(np.int32))
    gradients = {name: np.full_like(value, np.nan) for name, value in parameters.items()}
    layer.backward(parameters, gradients, rows, Objective(1.0), np.empty_like(rows.h), context())
    direction = {name: generator.normal(size=value.shape) for name, value in parameters.items()}

    def loss(step: float) -> float:
        moved = {name: value + step * direction[name] for name, value in parameters.items()}
        return layer.loss(moved, rows, Objective(1.0), context())

    along = sum(float((gradients[name] * direction[name]).sum()) for name in parameters)
    assert (loss(1e-5) - loss(-1e-5)) / 2e-5 == pytest.approx(along, rel=1e-7)


def test_a_tied_cluster_without_a_target_has_no_gradient() -> None:
    layer, generator = Adaptive(D_h, D_h, 40, True, [10, 25], 1.0), np.random.default_rng(6)
    parameters = layer.init(np.float64, generator) | {"E": generator.normal(0, 0.3, (40, D_h))}
    rows = Rows(generator.normal(size=(30, D_h)), generator.integers(0, 25, 30).astype(np.int32))
    gradients = {name: np.full_like(value, np.nan) for name, value in parameters.items()}
    layer.backward(parameters, gradients, rows, Objective(0.5), np.empty((30, D_h)), context())
    assert all(np.isfinite(value).all() for value in gradients.values())
    assert not gradients["E"][25:].any()
    assert gradients["E"][:25].any(axis=1).all()


def test_a_cluster_without_a_target_has_no_gradient() -> None:
    layer, parameters, generator = made(40, [10, 25])
    rows = Rows(generator.normal(size=(30, D_h)), generator.integers(0, 25, 30).astype(np.int32))
    gradients = {name: np.full_like(value, np.nan) for name, value in parameters.items()}
    layer.backward(parameters, gradients, rows, Objective(0.5), np.empty((30, D_h)), context())
    for name, value in gradients.items():
        assert np.isfinite(value).all()
        assert value.any() != name.endswith("_2"), name


def test_a_tied_head_and_tied_clusters_read_the_embedding_table() -> None:
    """Their distribution is that of the layer that is not tied with the table's rows in U, U_1 and U_2."""
    tied, untied = Adaptive(D_h, D_h, 40, True, [10, 25], 1.0), Adaptive(D_h, D_h, 40, False, [10, 25], 1.0)
    generator = np.random.default_rng(3)
    table, h = generator.normal(size=(40, D_h)), generator.normal(size=(7, D_h))
    own = tied.init(np.float64, generator)
    columns = {"U": np.concatenate([table[:10], own["E_c"]]).T, "U_1": table[10:25].T, "U_2": table[25:].T}
    copied = {name: np.ascontiguousarray(value) for name, value in columns.items()}
    found = tied.log_distribution(tied.pack(own | {"E": table}, context()), h, None, 2)
    wanted = untied.log_distribution(untied.pack(own | copied, context()), h, None, 2)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def test_clusters_of_another_width_than_the_embedding_are_not_tied() -> None:
    tied = Adaptive(D_h, D_h, 40, True, [10, 25], 2.0)
    assert {name: len(shape) for name, shape in tied.shapes().items() if name.startswith("U")} == {"U_1": 2, "U_2": 2}
    assert tied.multiplications() == Adaptive(D_h, D_h, 40, False, [10, 25], 2.0).multiplications()


def test_cutoffs_are_chosen_by_the_size_of_the_vocabulary() -> None:
    assert cutoffs.choose(10_000) == (3981,)
    assert cutoffs.choose(100_000) == (10_000, 31_623)
    assert cutoffs.choose(2) == (1,)
    shares = np.cumsum(1 / np.arange(1, 100_001))
    shares /= shares[-1]
    assert shares[10_000 - 1] == pytest.approx(0.8, abs=0.02)
    assert shares[31_623 - 1] == pytest.approx(0.9, abs=0.02)


def test_multiplications_are_those_of_the_parts_by_zipfs_law() -> None:
    layer = Adaptive(400, 5, 100_000)
    shares = np.cumsum(1 / np.arange(1, 100_001))
    shares /= shares[-1]
    head, first = shares[10_000 - 1], shares[31_623 - 1] - shares[10_000 - 1]
    wanted = 400 * 10_002 + first * 100 * (400 + 21_623) + (1 - head - first) * 25 * (400 + 68_377)
    assert layer.multiplications() == pytest.approx(wanted, rel=0.02)


def test_cutoffs_leave_tokens_behind_them() -> None:
    with pytest.raises(InputError, match="cutoffs: found 40; the vocabulary has 40 tokens, and each cutoff must be"):
        Adaptive(D_h, 5, 40, False, [10, 40])
