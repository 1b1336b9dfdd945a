"""The third-order tensor dz1(t)/dH written out, and contracted with delta1(t).

dz1_k(t)/dH_ij = h_i(t-1) where k = j, else 0          D_h x D_h x D_h, a matrix for each k
dJ/dH_ij       = sum_k delta1_k(t) dz1_k(t)/dH_ij = h_i(t-1) delta1_j(t)
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.derivation.quantities import Checker
from rnnlm.gradients.derivation.records import Heading, Quantity, Remark
from rnnlm.network.reference import equations

Array = NDArray[np.float64]

# Units up to which the tensor is shown: it has D_h^3 numbers, of which D_h^2 are not 0.
LARGEST = 4


def tensor(
    checker: Checker, before: Array, below: Array, I: Array, H: Array, b1: Array, delta1: Array
) -> Iterator[Heading | Remark | Quantity]:
    """One matrix dz1_k/dH for each unit k, and their contraction.

    Args:
        before: h(t-1), 1 x D_h; below: e(t), 1 x d; I, H, b1: the layer's parameters; delta1: 1 x D_h.
    """
    D_h = len(H)
    yield Heading("the third-order tensor dz1(t)/dH, which is never needed")
    yield Remark(
        f"z1 has {D_h} numbers and H has {D_h} x {D_h}, so dz1/dH has three indices. H_ij is in z1_j alone, with the "
        "factor h_i(t-1): of the matrix dz1_k/dH only column k is not 0. The chain rule adds these matrices, each "
        "times delta1_k, and as each brings one column, their sum is a column times a row."
    )

    def z1(k: int, H: Array) -> Any:
        return equations.z1(before, below, I, H, b1)[0, k]

    parts = np.einsum("i,jk->kij", before[0], np.eye(D_h))
    for k in range(D_h):
        rule = f"h(t-1)' in column {k + 1}, 0 elsewhere"
        yield checker.derivative(f"dz1_{k + 1}(t)/dH", rule, "D_h x D_h", parts[k], partial(z1, k), H)
    yield checker.equal(
        "dJ/dH", "sum_k delta1_k(t) dz1_k(t)/dH", "D_h x D_h", np.einsum("k,kij->ij", delta1[0], parts),
        equations.dJ_dweights(before, delta1), "h(t-1)' delta1(t)",
    )  # fmt: skip
