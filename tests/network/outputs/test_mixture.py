"""The mixture of softmaxes against its equations in plain NumPy, one row and one softmax after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from layouts import ROUNDED, kinds

from rnnlm.kernels import cpu, workspace
from rnnlm.kernels.matmul.layout import Layout, Numbers
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.outputs.mixture.layer import Mixture
from rnnlm.network.outputs.softmax.layer import Softmax
from rnnlm.network.protocols import Objective, Rows, Scores

KINDS = kinds(1e-12, 3e-5, 3e-2)
SCALE = 0.25


@pytest.fixture(autouse=True)
def _nothing_is_read_before_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """New memory holds NaN in whatever type."""
    monkeypatch.setattr(workspace, "aligned", lambda size, dtype: np.full(size * 8, 255, np.uint8).view(dtype)[:size])


@dataclass
class Problem:
    """Parameters by name, N rows of h, and their targets."""

    parameters: dict[str, np.ndarray]
    h: np.ndarray
    targets: np.ndarray
    count: int

    @classmethod
    def random(
        cls, rows: int, hidden: int, m: int, count: int, vocabulary: int, dtype: type, tied: bool = False
    ) -> Problem:
        generator = np.random.default_rng([rows, hidden, m, count, vocabulary])
        shapes = {"W": (hidden, count), "P": (hidden, count * m), "c": (count * m,), "b2": (vocabulary,)}
        shapes |= {"E": (vocabulary, m)} if tied else {"U": (m, vocabulary)}
        parameters = {name: generator.normal(0, 0.5, shape).astype(dtype) for name, shape in shapes.items()}
        h = generator.normal(size=(rows, hidden)).astype(dtype)
        return cls(parameters, h, generator.integers(0, vocabulary, rows).astype(np.int32), count)

    @property
    def layer(self) -> Mixture:
        m = self.parameters["P"].shape[1] // self.count
        return Mixture(self.h.shape[1], m, len(self.parameters["b2"]), "E" in self.parameters, self.count)

    def plain(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """pi (N x K), g (N x K x m), q (N x K x |V|) and y^ (N x |V|), in float64."""
        p = {name: value.astype(np.float64) for name, value in self.parameters.items()}
        U = p["E"].T if "E" in p else p["U"]
        m = U.shape[0]
        pi, g, q = (np.zeros((len(self.h), self.count, *rest)) for rest in ((), (m,), (U.shape[1],)))
        for r, h in enumerate(self.h.astype(np.float64)):
            pi[r] = _softmax(h @ p["W"])
            for k in range(self.count):
                own = slice(k * m, (k + 1) * m)
                g[r, k] = np.tanh(h @ p["P"][:, own] + p["c"][own])
                q[r, k] = _softmax(g[r, k] @ U + p["b2"])
        return pi, g, q, (pi[:, :, None] * q).sum(axis=1)

    def reference(self) -> tuple[float, dict[str, np.ndarray], np.ndarray]:
        """The loss, its gradient by name, and dJ/dh, line by line as in the module's docstring."""
        p = {name: value.astype(np.float64) for name, value in self.parameters.items()}
        U = p["E"].T if "E" in p else p["U"]
        m = U.shape[0]
        pi, g, q, y_hat = self.plain()
        found = {name: np.zeros_like(value) for name, value in p.items()}
        dU, dh, loss = np.zeros_like(U), np.zeros(self.h.shape), 0.0
        for r, x in enumerate(self.targets):
            h = self.h[r].astype(np.float64)
            loss -= np.log(y_hat[r, x])
            responsibility = pi[r] * q[r, :, x] / y_hat[r, x]
            for k in range(self.count):
                delta = SCALE * responsibility[k] * (q[r, k] - np.eye(1, U.shape[1], x)[0])
                dU += np.outer(g[r, k], delta)
                found["b2"] += delta
                du = U @ delta * (1 - g[r, k] ** 2)
                own = slice(k * m, (k + 1) * m)
                found["P"][:, own] += np.outer(h, du)
                found["c"][own] += du
                dh[r] += p["P"][:, own] @ du
            found["W"] += np.outer(h, SCALE * (pi[r] - responsibility))
            dh[r] += p["W"] @ (SCALE * (pi[r] - responsibility))
        found["E" if "E" in p else "U"] += dU.T if "E" in p else dU
        return loss, found, dh

    def backward(self, layout: Layout, threads: int) -> tuple[float, dict[str, np.ndarray], np.ndarray]:
        found = {name: np.full_like(value, np.nan) for name, value in self.parameters.items()}
        dh, context = np.full_like(self.h, np.nan), Context(Workspace(self.h.dtype, layout), threads)
        rows = Rows(self.h, self.targets)
        loss = self.layer.backward(self.parameters, found, rows, Objective(SCALE), dh, context).J
        return loss, found, dh

    def forward(self, threads: int, details: bool) -> Scores:
        rows, context = Rows(self.h, self.targets), Context(Workspace(self.h.dtype), threads)
        return self.layer.scores(self.parameters, rows, context, details)

    def log_distribution(self, threads: int) -> np.ndarray:
        packed = self.layer.pack(self.parameters, Context(Workspace(self.h.dtype), threads))
        return self.layer.log_distribution(packed, self.h, None, threads)


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()


def check(problem: Problem, layout: Layout, threads: int, bound: float) -> None:
    loss, found, dh = problem.backward(layout, threads)
    wanted_loss, wanted, wanted_dh = problem.reference()
    assert loss == pytest.approx(wanted_loss, rel=bound)
    # bfloat16 rounds what is summed up, so a sum of numbers that nearly cancel is held against their size.
    for name, value in (wanted | {"h": wanted_dh}).items():
        scale = max(np.abs(value).max(), 1e-3 * SCALE)
        np.testing.assert_allclose((found | {"h": dh})[name], value, rtol=0, atol=bound * scale, err_msg=name)


# Around the widths of panels and of groups of panels; more threads than panels.
@pytest.mark.parametrize(("dtype", "layout", "bound"), KINDS)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("vocabulary", [2, 11, 16, 17, 32, 65, 300, 527])
def test_gradients(dtype: type, layout: Layout, bound: float, tied: bool, vocabulary: int) -> None:
    for rows, hidden, m, count in ((1, 3, 3, 1), (7, 5, 8, 4), (75, 20, 12, 3)):
        for threads in (1, 2, 3):
            check(Problem.random(rows, hidden, m, count, vocabulary, dtype, tied), layout, threads, bound)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("count", [1, 3, 64, 65, 100])
def test_a_token_is_never_cut_by_a_block(tied: bool, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vocabulary so large that not all rows are held at once; more softmaxes than a block has rows."""
    monkeypatch.setattr(cpu, "SOFTMAX_BYTES", 64 * 70 * 8)
    check(Problem.random(41, 6, 5, count, 70, np.float64, tied), Numbers, 2, 1e-11)


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-12), (np.float32, 2e-5)])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("vocabulary", [2, 11, 65, 600])
@pytest.mark.parametrize("count", [1, 4])
def test_probabilities_ranks_and_entropies(
    dtype: type, bound: float, tied: bool, vocabulary: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "LOGITS_A_THREAD", 7 * count * vocabulary)  # block after block
    problem = Problem.random(33, 9, 6, count, vocabulary, dtype, tied)
    y_hat = problem.plain()[3]
    own = y_hat[np.arange(33), problem.targets]
    for threads in (1, 2, 3):
        quick = problem.forward(threads, False).log_probability
        log_probability, rank, entropy, alternative, its_log_probability, _ = problem.forward(threads, True)
        np.testing.assert_allclose(quick, np.log(own), rtol=0, atol=bound)
        np.testing.assert_allclose(log_probability, np.log(own), rtol=0, atol=bound)
        np.testing.assert_allclose(entropy, -(y_hat * np.log(y_hat)).sum(axis=1), rtol=bound, atol=bound)
        assert (rank == 1 + (y_hat > own[:, None]).sum(axis=1)).all()
        assert (alternative == y_hat.argmax(axis=1)).all()
        np.testing.assert_allclose(its_log_probability, np.log(y_hat.max(axis=1)), rtol=0, atol=bound)
        found = problem.log_distribution(threads)
        np.testing.assert_allclose(found, np.log(y_hat), rtol=0, atol=bound)
        np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-13)


@pytest.mark.parametrize("tied", [False, True])
def test_one_softmax_is_the_plain_one_of_g(tied: bool) -> None:
    problem = Problem.random(20, 6, 7, 1, 50, np.float64, tied)
    g = problem.plain()[1][:, 0]
    plain = {name: problem.parameters[name] for name in ("E" if tied else "U", "b2")}
    layer, context = Softmax(7, 7, 50, tied), Context(Workspace(np.float64), 2)
    wanted = layer.scores(plain, Rows(g, problem.targets), context).log_probability
    np.testing.assert_allclose(problem.forward(2, False)[0], wanted, rtol=0, atol=1e-13)


def test_a_mixture_can_do_what_one_softmax_cannot() -> None:
    """log y^ of many contexts has a rank above m + 1, the most that one softmax reaches."""
    ranks = []
    for count in (1, 4):
        problem = Problem.random(40, 8, 3, count, 40, np.float64)
        log_y = problem.log_distribution(1)
        ranks.append(np.linalg.matrix_rank(log_y - log_y.mean(axis=1, keepdims=True), tol=1e-6))
    assert ranks[0] <= 4
    assert ranks[1] > 10


@pytest.mark.parametrize("vocabulary", [65, 700])
def test_a_token_of_almost_no_probability_has_its_own_loss(vocabulary: int) -> None:
    """e^-200 is no float32, its logarithm is."""
    problem = Problem.random(4, 3, 3, 3, vocabulary, np.float32)
    problem.parameters["b2"][:] = 0
    problem.parameters["b2"][vocabulary - 1] = -200
    problem.targets[:] = vocabulary - 1
    loss, found, _ = problem.backward(Numbers, 2)
    wanted, gradient, _ = problem.reference()
    assert loss == pytest.approx(wanted, rel=1e-5)
    assert loss > 4 * 195
    np.testing.assert_allclose(found["W"], gradient["W"], rtol=0, atol=1e-3 * np.abs(gradient["W"]).max())
    for details in (False, True):
        log_probability, rank, *_ = problem.forward(2, details)
        assert -log_probability.sum() == pytest.approx(wanted, rel=1e-5)
    assert (rank == vocabulary).all()


@pytest.mark.parametrize("vocabulary", [65, 700])
@pytest.mark.parametrize("layout", [Numbers, *ROUNDED])
def test_what_is_not_finite_shows(vocabulary: int, layout: Layout) -> None:
    problem = Problem.random(9, 5, 4, 3, vocabulary, np.float32)
    problem.h[3, 2] = np.nan
    loss, found, _ = problem.backward(layout, 2)
    assert np.isnan(loss)
    assert np.isnan(found["W"]).any()
    problem.h[3, 2] = 0
    problem.parameters["U"][1, vocabulary - 1] = np.inf
    assert not np.isfinite(problem.backward(layout, 2)[0])


@pytest.mark.parametrize("vocabulary", [65, 700])
def test_the_same_bytes_every_time(vocabulary: int) -> None:
    problem = Problem.random(100, 33, 20, 3, vocabulary, np.float32)
    first, second = (problem.backward(Numbers, 2) for _ in range(2))
    assert first[0] == second[0]
    assert (first[2] == second[2]).all()
    assert all((first[1][name] == second[1][name]).all() for name in first[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_stream_is_the_same_whatever_the_number_of_streams(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem.random(64, 31, 23, 3, 600, dtype)
    layer = problem.layer
    packed = layer.pack(problem.parameters, Context(Workspace(dtype), 2))
    many = layer.log_distribution(packed, problem.h, None, 2)
    monkeypatch.setattr(cpu, "MIXTURE_LOGITS", 5 * 3 * 600)
    assert (layer.log_distribution(packed, problem.h, None, 2) == many).all()
    for r in (0, 1, 17, 63):
        assert (layer.log_distribution(packed, problem.h[r : r + 1], None, 2)[0] == many[r]).all()
