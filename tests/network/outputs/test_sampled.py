"""The sampled softmax: its noise, its estimate of the softmax, and which rows have a gradient."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.outputs import Sampled
from rnnlm.network.outputs.sampled import noise
from rnnlm.network.protocols import Arrays, Objective, Rows

D_h, V = 12, 40
COUNTS = (1000 / np.arange(1, V + 1)).astype(np.int64)


def made(samples: int, objective: str = "importance") -> tuple[Sampled, Arrays, Rows]:
    """A layer with its parameters and tables, and 30 rows."""
    layer, generator = Sampled(D_h, 5, V, False, objective, samples), np.random.default_rng(0)  # type: ignore[arg-type]
    parameters = layer.init(np.float64, generator)
    for value in parameters.values():
        value += generator.normal(0, 0.4, value.shape)
    rows = Rows(generator.normal(size=(30, D_h)), generator.integers(0, V, 30).astype(np.int32))
    return layer, parameters | layer.tables(COUNTS), rows


def context(threads: int = 2) -> Context:
    return Context(Workspace(np.float64), threads)


def exact(parameters: Arrays, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """log Z and z_x of each row."""
    z = rows.h @ parameters["U"].T + parameters["b2"]
    return np.asarray(logsumexp(z, axis=1)), z[np.arange(len(z)), rows.targets]


def test_the_noise_is_the_counts_to_a_power() -> None:
    q = noise.distribution(np.array([16, 1, 0, 81]), 0.75)
    np.testing.assert_allclose(q, np.array([8, 1, 1, 27]) / 37, rtol=1e-15)
    np.testing.assert_allclose(noise.distribution(COUNTS, 0), 1 / V, rtol=1e-15)


def test_draws_follow_the_noise_and_are_the_same_for_the_same_window() -> None:
    q, total = noise.distribution(COUNTS, 0.75), np.zeros(V, np.int64)
    for window in range(200):
        drawn = noise.draw(np.cumsum(q), 100, 7, window)
        assert drawn.times.sum() == 100
        assert (np.diff(drawn.tokens) > 0).all()
        total[drawn.tokens] += drawn.times
    assert stats.chisquare(total, total.sum() * q).pvalue > 1e-3
    first, again, other = (noise.draw(np.cumsum(q), 100, seed, 3) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.times, again.times)
    assert first.tokens.tolist() != other.tokens.tolist() or first.times.tolist() != other.times.tolist()


def test_importance_sampling_estimates_the_denominator_without_bias() -> None:
    """Z^ = exp(J + z_x), in the mean over 4,000 windows."""
    layer, parameters, rows = made(20)
    log_Z, own = exact(parameters, rows)
    one = Rows(rows.h[:1], rows.targets[:1])
    found = [
        np.exp(layer.loss(parameters, one, Objective(1.0, 0.0, (5, window)), context()) + own[0])
        for window in range(4000)
    ]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - np.exp(log_Z[0])) < 4 * error
    assert error < 0.02 * np.exp(log_Z[0])


def test_many_samples_give_the_softmax() -> None:
    layer, parameters, rows = made(400_000)
    log_Z, own = exact(parameters, rows)
    wanted = (log_Z - own).sum()
    assert layer.loss(parameters, rows, Objective(1.0, 0.0, (5, 1)), context()) == pytest.approx(wanted, rel=1e-3)
    assert layer.loss(parameters, rows, Objective(1.0), context()) == pytest.approx(wanted, rel=1e-12)
    dh, gradients = (np.empty((2, 30, D_h)), [{"b2": np.empty(V)} for _ in range(2)])
    for way, draw in enumerate((None, (5, 1))):
        layer.backward(parameters, gradients[way], rows, Objective(0.1, 0.0, draw), dh[way], context())
    np.testing.assert_allclose(dh[1], dh[0], atol=2e-2 * np.abs(dh[0]).max())
    np.testing.assert_allclose(gradients[1]["b2"], gradients[0]["b2"], atol=2e-2 * np.abs(gradients[0]["b2"]).max())


@pytest.mark.parametrize("objective", ["importance", "nce"])
def test_the_target_and_the_drawn_tokens_alone_have_a_gradient(objective: str) -> None:
    layer, parameters, rows = made(6, objective)
    gradients = {"b2": np.full(V, np.nan)}
    made_of = layer.backward(parameters, gradients, rows, Objective(0.5, 0.0, (5, 1)), np.empty((30, D_h)), context())
    assert made_of.rows is not None
    tokens, dU = made_of.rows["U"]
    drawn = noise.draw(np.cumsum(parameters["noise"]), 6, 5, 1).tokens
    assert sorted(tokens.tolist()) == sorted({*drawn.tolist(), *rows.targets.tolist()})
    assert dU.any(axis=1).all()
    np.testing.assert_array_equal(np.flatnonzero(gradients["b2"]), np.sort(tokens))


@pytest.mark.parametrize("objective", ["importance", "nce"])
def test_the_loss_that_is_said(objective: str) -> None:
    """The objective of importance sampling; of NCE that of the distribution with Z = 1."""
    layer, parameters, rows = made(6, objective)
    how, dh = Objective(0.5, 0.0, (5, 1)), np.empty((30, D_h))
    J = layer.backward(parameters, {"b2": np.empty(V)}, rows, how, dh, context()).J
    _, own = exact(parameters, rows)
    wanted = -own.sum() if objective == "nce" else layer.loss(parameters, rows, how, context())
    assert pytest.approx(wanted, rel=1e-12) == J


@pytest.mark.parametrize("objective", ["importance", "nce"])
def test_gradients_are_the_same_to_the_last_bit_again(objective: str) -> None:
    layer, parameters, rows = made(25, objective)
    found = []
    for _ in range(2):
        dh, gradients = np.empty((30, D_h)), {"b2": np.empty(V)}
        U = layer.backward(parameters, gradients, rows, Objective(0.5, 0.0, (5, 1)), dh, context()).rows
        assert U is not None
        found.append((dh.tobytes(), gradients["b2"].tobytes(), U["U"][1].tobytes()))
    assert found[0] == found[1]


def test_what_it_takes() -> None:
    assert Sampled(400, 300, 100_000, samples=1000).multiplications() == 400 * 1001
    assert Sampled(400, 300, 100_000, True, samples=1000).multiplications() == 400 * 300 + 300 * 1001


def test_the_normalizer_of_nce() -> None:
    """log Z comes with the scores of NCE, which draws it to 0; importance sampling leaves it open."""
    layer, parameters, rows = made(6, "nce")
    log_Z, _ = exact(parameters, rows)
    for details in (False, True):
        found = layer.scores(parameters, rows, context(), details)
        np.testing.assert_allclose(found.log_normalizer, log_Z, rtol=0, atol=1e-12)
    assert layer.self_normalised
    layer, parameters, rows = made(6)
    assert not layer.self_normalised
    assert not layer.scores(parameters, rows, context()).log_normalizer.any()
