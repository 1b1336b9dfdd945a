"""The softmax against NumPy in float64: both partitions over threads, tied and not, with logits far apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from layouts import ROUNDED, kinds

from rnnlm.kernels import cpu, workspace
from rnnlm.kernels.matmul.layout import Layout, Numbers
from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.outputs.softmax.layer import Softmax
from rnnlm.network.protocols import Objective, Rows

KINDS = kinds(1e-12, 3e-5, 2e-2)
SCALE = 0.25


@dataclass
class Problem:
    h: np.ndarray
    U: np.ndarray
    b2: np.ndarray
    targets: np.ndarray

    @classmethod
    def random(cls, rows: int, hidden: int, vocabulary: int, dtype: type, seed: int = 0) -> Problem:
        generator = np.random.default_rng([seed, rows, hidden, vocabulary])
        return cls(
            generator.normal(size=(rows, hidden)).astype(dtype),
            generator.normal(0, 0.3, (hidden, vocabulary)).astype(dtype),
            generator.normal(size=vocabulary).astype(dtype),
            generator.integers(0, vocabulary, rows).astype(np.int32),
        )

    def reference(self) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        h, U = self.h.astype(np.float64), self.U.astype(np.float64)
        z = h @ U + self.b2
        z -= z.max(axis=1, keepdims=True)
        y = np.exp(z)
        total = y.sum(axis=1, keepdims=True)
        y /= total
        each = np.arange(len(h))
        loss = -(z[each, self.targets] - np.log(total[:, 0])).sum()
        y[each, self.targets] -= 1
        delta2 = SCALE * y
        return loss, h.T @ delta2, delta2.sum(axis=0), delta2 @ U.T

    def layer(self, tied: bool) -> Softmax:
        hidden, vocabulary = self.U.shape
        return Softmax(hidden, hidden, vocabulary, tied)

    def parameters(self, tied: bool) -> dict[str, np.ndarray]:
        return {"E": np.ascontiguousarray(self.U.T), "b2": self.b2} if tied else {"U": self.U, "b2": self.b2}

    def backward(self, tied: bool, layout: Layout, threads: int) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        parameters, dh = self.parameters(tied), np.full_like(self.h, np.nan)
        found = {name: np.full_like(value, np.nan) for name, value in parameters.items()}
        rows, context = Rows(self.h, self.targets), Context(Workspace(self.h.dtype, layout), threads)
        loss = self.layer(tied).backward(parameters, found, rows, Objective(SCALE), dh, context).J
        return loss, found["E"].T if tied else found["U"], found["b2"], dh

    def log_probability(self, tied: bool, threads: int) -> np.ndarray:
        rows, context = Rows(self.h, self.targets), Context(Workspace(self.h.dtype), threads)
        return self.layer(tied).scores(self.parameters(tied), rows, context).log_probability


def check(problem: Problem, tied: bool, layout: Layout, threads: int, bound: float) -> None:
    for found, wanted in zip(problem.backward(tied, layout, threads), problem.reference(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=bound * np.abs(wanted).max())
    if layout is Numbers:
        found = problem.log_probability(tied, threads).sum()
        assert found == pytest.approx(-problem.reference()[0], rel=bound)


# Around the widths of panels, of groups of panels, and of the size from which columns are shared out.
@pytest.mark.parametrize(("dtype", "layout", "bound"), KINDS)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("vocabulary", [2, 11, 32, 65, 300, 511, 512, 527, 1037])
def test_gradients(dtype: type, layout: Layout, bound: float, tied: bool, vocabulary: int) -> None:
    for rows, hidden in ((1, 3), (37, 7), (300, 40), (391, 65)):
        for threads in (1, 2, 3):
            check(Problem.random(rows, hidden, vocabulary, dtype), tied, layout, threads, bound)


@pytest.mark.parametrize(("dtype", "layout", "bound"), KINDS)
@pytest.mark.parametrize("tied", [False, True])
def test_more_threads_than_panels(
    dtype: type, layout: Layout, bound: float, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine of many cores; a thread that has nothing to do adds nothing."""
    monkeypatch.setattr(workspace, "aligned", lambda size, dtype: np.full(size * 8, 255, np.uint8).view(dtype)[:size])
    check(Problem.random(37, 7, 527, dtype), tied, layout, 40, bound)


@pytest.mark.parametrize(("dtype", "layout", "bound"), KINDS[:2])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("vocabulary", [65, 700])
def test_a_logit_far_above_those_of_the_first_panel(
    dtype: type, layout: Layout, bound: float, tied: bool, vocabulary: int
) -> None:
    problem = Problem.random(50, 12, vocabulary, dtype)
    problem.U[:, vocabulary // 2] *= 300
    problem.targets[::3] = vocabulary // 2
    largest = float(np.abs(problem.h @ problem.U).max())
    assert largest > 100
    for threads in (1, 2):
        check(problem, tied, layout, threads, bound * max(1.0, largest / 100))


@pytest.mark.parametrize("vocabulary", [65, 700])
def test_a_token_of_almost_no_probability_has_its_own_loss(vocabulary: int) -> None:
    """e^-200 is no float32, its logarithm is."""
    problem = Problem.random(4, 3, vocabulary, np.float32)
    problem.b2[:] = 0
    problem.b2[vocabulary - 1] = -200
    problem.targets[:] = vocabulary - 1
    loss = problem.backward(False, Numbers, 2)[0]
    assert loss == pytest.approx(problem.reference()[0], rel=1e-5)
    assert loss > 4 * 200
    assert problem.log_probability(False, 2) == pytest.approx(-problem.reference()[0] / 4, rel=0.02)


@pytest.mark.parametrize(("dtype", "layout", "bound"), KINDS)
@pytest.mark.parametrize("tied", [False, True])
def test_block_after_block(
    dtype: type, layout: Layout, bound: float, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vocabulary so large that not all of e is held at once."""
    monkeypatch.setattr(cpu, "SOFTMAX_BYTES", 64 * 600 * 8)
    check(Problem.random(333, 20, 600, dtype), tied, layout, 2, bound)


@pytest.mark.parametrize("vocabulary", [65, 700])
@pytest.mark.parametrize("layout", [Numbers, *ROUNDED])
def test_what_is_not_finite_shows(vocabulary: int, layout: Layout) -> None:
    problem = Problem.random(9, 5, vocabulary, np.float32)
    problem.h[3, 2] = np.nan
    loss, dU, _, _ = problem.backward(False, layout, 2)
    assert np.isnan(loss)
    assert np.isnan(dU).any()
    problem.h[3, 2] = 0
    problem.U[1, vocabulary - 1] = np.inf
    assert not np.isfinite(problem.backward(False, layout, 2)[0])


@pytest.mark.parametrize("vocabulary", [65, 700])
def test_the_same_bytes_every_time(vocabulary: int) -> None:
    problem = Problem.random(100, 33, vocabulary, np.float32)
    first, second = (problem.backward(False, Numbers, 2) for _ in range(2))
    assert first[0] == second[0]
    assert all(np.array_equal(a, b) for a, b in zip(first[1:], second[1:], strict=True))
