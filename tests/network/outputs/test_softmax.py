"""The softmax against NumPy in float64: both ways of sharing it out, tied and not, with logits far apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from rnnlm.kernels import cpu, workspace
from rnnlm.kernels.cpu import HAS_BFLOAT16
from rnnlm.kernels.workspace import Workspace
from rnnlm.network.outputs import softmax

needs_bfloat16 = pytest.mark.skipif(not HAS_BFLOAT16, reason="this processor has no products of bfloat16")
KINDS = [
    pytest.param(np.float64, np.float64, 1e-12, id="float64"),
    pytest.param(np.float32, np.float32, 3e-5, id="float32"),
    pytest.param(np.float32, np.uint32, 2e-2, id="bfloat16", marks=needs_bfloat16),
]
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

    def parameters(self, tied: bool) -> dict[str, np.ndarray]:
        return {"E": np.ascontiguousarray(self.U.T), "b2": self.b2} if tied else {"U": self.U, "b2": self.b2}

    def backward(self, tied: bool, packed: type, workers: int) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        parameters, dh = self.parameters(tied), np.full_like(self.h, np.nan)
        found = {name: np.full_like(value, np.nan) for name, value in parameters.items()}
        room = Workspace(self.h.dtype, packed)
        loss = softmax.backward(parameters, found, self.h, self.targets, SCALE, 0.0, dh, room, workers)
        return loss, found["E"].T if tied else found["U"], found["b2"], dh

    def log_probability(self, tied: bool, workers: int) -> np.ndarray:
        return softmax.forward(self.parameters(tied), self.h, self.targets, Workspace(self.h.dtype), workers)[0]


def check(problem: Problem, tied: bool, packed: type, workers: int, bound: float) -> None:
    for found, wanted in zip(problem.backward(tied, packed, workers), problem.reference(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=bound * np.abs(wanted).max())
    if packed != np.uint32:
        found = problem.log_probability(tied, workers).sum()
        assert found == pytest.approx(-problem.reference()[0], rel=bound)


# Around the widths of panels, of groups of panels, and of the size from which columns are shared out.
@pytest.mark.parametrize(("dtype", "packed", "bound"), KINDS)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("vocabulary", [2, 11, 32, 65, 300, 511, 512, 527, 1037])
def test_gradients(dtype: type, packed: type, bound: float, tied: bool, vocabulary: int) -> None:
    for rows, hidden in ((1, 3), (37, 7), (300, 40), (391, 65)):
        for workers in (1, 2, 3):
            check(Problem.random(rows, hidden, vocabulary, dtype), tied, packed, workers, bound)


@pytest.mark.parametrize(("dtype", "packed", "bound"), KINDS)
@pytest.mark.parametrize("tied", [False, True])
def test_more_workers_than_panels(
    dtype: type, packed: type, bound: float, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine of many cores; a worker that has nothing to do adds nothing."""
    monkeypatch.setattr(workspace, "aligned", lambda size, dtype: np.full(size * 8, 255, np.uint8).view(dtype)[:size])
    check(Problem.random(37, 7, 527, dtype), tied, packed, 40, bound)


@pytest.mark.parametrize(("dtype", "packed", "bound"), KINDS[:2])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("vocabulary", [65, 700])
def test_a_logit_far_above_those_of_the_first_panel(
    dtype: type, packed: type, bound: float, tied: bool, vocabulary: int
) -> None:
    problem = Problem.random(50, 12, vocabulary, dtype)
    problem.U[:, vocabulary // 2] *= 300
    problem.targets[::3] = vocabulary // 2
    largest = float(np.abs(problem.h @ problem.U).max())
    assert largest > 100
    for workers in (1, 2):
        check(problem, tied, packed, workers, bound * max(1.0, largest / 100))


@pytest.mark.parametrize("vocabulary", [65, 700])
def test_a_token_of_almost_no_probability_has_its_own_loss(vocabulary: int) -> None:
    """e^-200 is no float32, its logarithm is."""
    problem = Problem.random(4, 3, vocabulary, np.float32)
    problem.b2[:] = 0
    problem.b2[vocabulary - 1] = -200
    problem.targets[:] = vocabulary - 1
    loss = problem.backward(False, np.float32, 2)[0]
    assert loss == pytest.approx(problem.reference()[0], rel=1e-5)
    assert loss > 4 * 200
    assert problem.log_probability(False, 2) == pytest.approx(-problem.reference()[0] / 4, rel=0.02)


@pytest.mark.parametrize(("dtype", "packed", "bound"), KINDS)
@pytest.mark.parametrize("tied", [False, True])
def test_block_after_block(
    dtype: type, packed: type, bound: float, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vocabulary so large that not all of e is held at once."""
    monkeypatch.setattr(cpu, "SOFTMAX_BYTES", 64 * 600 * 8)
    check(Problem.random(333, 20, 600, dtype), tied, packed, 2, bound)


@pytest.mark.parametrize("vocabulary", [65, 700])
@pytest.mark.parametrize("packed", [np.float32, pytest.param(np.uint32, marks=needs_bfloat16)])
def test_what_is_not_finite_shows(vocabulary: int, packed: type) -> None:
    problem = Problem.random(9, 5, vocabulary, np.float32)
    problem.h[3, 2] = np.nan
    loss, dU, _, _ = problem.backward(False, packed, 2)
    assert np.isnan(loss)
    assert np.isnan(dU).any()
    problem.h[3, 2] = 0
    problem.U[1, vocabulary - 1] = np.inf
    assert not np.isfinite(problem.backward(False, packed, 2)[0])


@pytest.mark.parametrize("vocabulary", [65, 700])
def test_the_same_bytes_every_time(vocabulary: int) -> None:
    problem = Problem.random(100, 33, vocabulary, np.float32)
    first, second = (problem.backward(False, np.float32, 2) for _ in range(2))
    assert first[0] == second[0]
    assert all(np.array_equal(a, b) for a, b in zip(first[1:], second[1:], strict=True))
