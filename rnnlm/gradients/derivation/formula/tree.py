"""The tree of a formula: a node a quantity, a number or an operation, each with its place in the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Index:
    """A step: a number, or a variable and a number; the variable T is the last step."""

    variable: str
    offset: int


@dataclass(frozen=True)
class Node:
    """text[start:end] of the formula."""

    start: int
    end: int

    @property
    def parts(self) -> tuple[Node, ...]:
        return ()

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True)
class Number(Node):
    value: float


@dataclass(frozen=True)
class Name(Node):
    """h(1), w; index None: typed without a step. stem: where the letter ends in the text."""

    letter: str
    index: Index | None
    stem: int


@dataclass(frozen=True)
class Derivative(Node):
    """dJ/dh(1); `at`: dJ/dH|2, with H changed at step 2 alone."""

    top: Name
    bottom: Name
    at: Index | None


@dataclass(frozen=True)
class _One(Node):
    of: Node

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.of,)


@dataclass(frozen=True)
class Group(_One):
    """A formula in brackets."""


@dataclass(frozen=True)
class Transposed(_One):
    pass


@dataclass(frozen=True)
class Negative(_One):
    pass


@dataclass(frozen=True)
class Power(_One):
    exponent: int


@dataclass(frozen=True)
class Call(_One):
    """f(z), f'(z), log(y) ..."""

    function: str


@dataclass(frozen=True)
class Sum(_One):
    """The sum over the steps `low` to `high`; None: the first, the last."""

    variable: str
    low: Index | None
    high: Index | None


@dataclass(frozen=True)
class Binary(Node):
    """left operator right; operator: one of + - @ o * /, and `at`, where it stands (a product without an operator:
    where the right side begins)."""

    operator: str
    left: Node
    right: Node
    at: int

    @property
    def parts(self) -> tuple[Node, ...]:
        return self.left, self.right


@dataclass(frozen=True)
class Formula:
    """left = right."""

    text: str
    left: Name | Derivative
    right: Node
