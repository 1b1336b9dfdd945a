"""Own numbers for the network of one unit over two steps, by the letters of the scalar derivation.

    s(-1): 0.5                  # the state before the first step; left out: 0. Also s-1, s_-1
    x0: 1                       # the inputs. Also x(0), x_0, e0 ...
    x1: -0.4
    w: 0.8                      # recurrent weight
    v: 0.5                      # input weight
    b: 0.1                      # bias; left out: 0
    u: [0.9, -0.7]              # output weights, one for each token: 1 x |V|
    c: [0, 0]                   # output bias; left out: 0
    target: 1                   # the index, from 0, of the token that comes after the last step
    activation: tanh

With s(0), x1 and x2 the steps are counted from 1, as `rnnlm derive --scalar` does.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field

from rnnlm.config.base import NOT_BOOL, NotNegativeCount, Section
from rnnlm.gradients.derivation.scalar_names import ScalarNames
from rnnlm.gradients.derivation.targets import Activation

Array = NDArray[np.float64]

_Scalar = Annotated[float, NOT_BOOL]


def _one_number(value: Any) -> Any:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def _row_of_outputs(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError(
            f"found {value}; must be a list of one for each token, at least 2 (u goes out, v is the weight of the "
            "inputs; [u, 0] gives y^ = sigmoid(u s))"
        )
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list) else value


def _two(value: list[float]) -> list[float]:
    if len(value) < 2:
        raise ValueError(f"found {value}; must be a list of one for each token, at least 2")
    return value


_Number = Annotated[_Scalar, BeforeValidator(_one_number)]
_Outputs = Annotated[list[_Scalar], Field(max_length=64), AfterValidator(_two), BeforeValidator(_row_of_outputs)]


def _spellings(step: int, *letters: str) -> AliasChoices:
    """The names of a quantity of one step: s(-1), s-1, s_-1 ...; x0, x(0), x_0 ... The first is shown."""
    marks = [f"({step})", f"{step}", f"_{step}", f"_({step})", f"_{{{step}}}"]
    if step >= 0:
        marks[:2] = marks[1::-1]
    return AliasChoices(*(letter + mark for letter in letters for mark in marks))


class Scalars(Section):
    """The keys that are the same from whatever number the steps are counted."""

    names: ClassVar[ScalarNames]

    before: _Number
    e1: _Number
    e2: _Number
    w: _Number
    v: _Number
    b: _Number = 0.0
    u: _Outputs
    c: _Outputs | None = None
    target: NotNegativeCount = Field(validation_alias=AliasChoices("target", "targets"))
    activation: Activation = "tanh"

    def matrices(self) -> dict[str, Array]:
        """The numbers as the matrices of the network with d = D_h = 1."""
        numbers = {"h0": self.before, "H": self.w, "I": self.v, "b1": self.b}
        return {
            "e": np.array([[self.e1], [self.e2]]), "U": np.array([self.u]),
            "b2": np.array([self.c or [0.0] * len(self.u)]),
            **{name: np.array([[number]]) for name, number in numbers.items()},
        }  # fmt: skip


class FromZero(Scalars):
    """Steps 0 and 1."""

    names = ScalarNames(0, "x")

    before: _Number = Field(0.0, validation_alias=_spellings(-1, "s", "h"))
    e1: _Number = Field(validation_alias=_spellings(0, "x", "e"))
    e2: _Number = Field(validation_alias=_spellings(1, "x", "e"))


class FromOne(Scalars):
    """Steps 1 and 2."""

    names = ScalarNames(1, "e")

    before: _Number = Field(0.0, validation_alias=_spellings(0, "s", "h"))
    e1: _Number = Field(validation_alias=_spellings(1, "e", "x"))
    e2: _Number = Field(validation_alias=_spellings(2, "e", "x"))
