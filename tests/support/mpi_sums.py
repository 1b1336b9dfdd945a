"""Run by ``mpiexec``: the sums over the ranks against those of NumPy. Prints ``right`` at rank 0."""

from __future__ import annotations

import hashlib
import sys

import numpy as np
from mpi4py import MPI

from rnnlm.network.parameters import Gradients
from rnnlm.ranks.ranks import Ranks
from rnnlm.training.distributed.gradient_sum import GradientSum

SHAPES = {"large": (130, 257), "small": (3, 5), "bias": (7,), "larger": (501, 70)}
V, D = 40, 9


def gradients(rank: int, update: int, dtype: str) -> Gradients:
    """Those of one rank, which any rank can make."""
    generator = np.random.default_rng([rank, update])
    dense = {name: generator.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}
    tokens = generator.permutation(V)[: 5 * rank].astype(np.int32)  # rank 0 has none
    return Gradients(dense, {"table": (tokens, generator.normal(size=(len(tokens), D)).astype(dtype))})


def table(found: Gradients) -> np.ndarray:
    tokens, rows = found.rows["table"]
    assert len(set(tokens.tolist())) == len(tokens)
    whole = np.zeros((V, D))
    whole[tokens] = rows
    return whole


def check(ranks: Ranks, dtype: str, half: bool, update: int) -> None:
    own = gradients(ranks.rank, update, dtype)
    everyones = [gradients(rank, update, dtype) for rank in range(ranks.size)]
    total = GradientSum(ranks, half)
    total.begin("output", {"large": own.dense["large"], "bias": own.dense["bias"]})  # the others are begun later
    losses = [1.5 + each for each in range(ranks.size)]
    assert total.finish(own, losses[ranks.rank]) == sum(losses)
    own_loss = np.inf if ranks.rank == 1 else 1.0
    assert np.isinf(total.finish(gradients(ranks.rank, update, dtype), own_loss)), "one rank's loss is seen by all"
    # The sum of the sizes of what is added: each number, and each sum, is rounded.
    relative = 2.0**-8 * 2.01 if half else 4 * np.finfo(dtype).eps
    for name in SHAPES:
        parts = np.array([each.dense[name] for each in everyones], np.float64)
        bound = relative * np.abs(parts).sum(0)
        assert (np.abs(own.dense[name] - parts.sum(0)) <= bound).all(), (name, dtype, half)
    parts = np.array([table(each) for each in everyones])
    assert (np.abs(table(own) - parts.sum(0)) <= relative * np.abs(parts).sum(0)).all(), (dtype, half)
    bits = hashlib.sha256(b"".join(array.tobytes() for _, array in own.arrays())).hexdigest()
    assert len(set(ranks.all(bits))) == 1, "the ranks have other sums"


def main() -> None:
    ranks = Ranks(MPI.COMM_WORLD)
    for dtype in ("float32", "float64"):
        for half in (False, True):
            for update in range(3):
                check(ranks, dtype, half, update)
    assert ranks.all((ranks.rank, "x")) == [(rank, "x") for rank in range(ranks.size)]
    if ranks.rank == 0:
        print("right")
    sys.stdout.flush()


main()
