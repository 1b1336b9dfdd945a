"""The record of a gradient check."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ParameterCheck:
    """One parameter's analytic gradient against its numerical derivatives.

    Errors are largest absolute ones and, relative, these over the largest number of the gradient. `checked`: how many
    of the `size` numbers were compared one by one; random directions cover the others. `place`: where the largest
    error is, with both figures there. `complex_step`: the relative error against a complex step through the plain
    equations, `direction` that along random directions. `cosine`, `ratio`: of the analytic to the numeric numbers.
    `by_complex`: at how many of the numbers compared central differences are only rounding, or change too fast for
    their step; there the numeric number is that of the complex step.
    `shortest`: the least number of steps for which the gradient is wrong, for one that failed.
    """

    name: str
    shape: tuple[int, ...]
    size: int
    checked: int
    absolute: float
    relative: float
    place: tuple[int, ...]
    analytic: float
    numeric: float
    complex_step: float
    direction: float
    cosine: float
    ratio: float
    passed: bool
    by_complex: int = 0
    shortest: int | None = None


@dataclass(frozen=True)
class TruncationBias:
    """A truncated gradient beside the untruncated one: their cosine, norm(truncated) / norm(untruncated), and
    norm(truncated - untruncated) / norm(untruncated)."""

    name: str
    cosine: float
    ratio: float
    difference: float


@dataclass(frozen=True)
class GradientCheck:
    """The result of ``rnnlm gradcheck``. `loss` (nats a token) by the kernels, `plain_loss` by the reference
    implementation. `untruncated` and `bias` are there when the derivative was also taken through the `through`
    steps before the window; `frozen`: parameters that do not train."""

    parameters: tuple[ParameterCheck, ...]
    frozen: tuple[str, ...]
    loss: float
    plain_loss: float
    forward_passed: bool
    tolerance: float
    start: int
    steps: int
    loss_steps: int
    batch: int
    dropping: bool
    through: int
    untruncated: tuple[ParameterCheck, ...]
    bias: tuple[TruncationBias, ...]
    verdict: str
    passed: bool
    seconds: float

    def json(self) -> dict[str, Any]:
        return asdict(self)
