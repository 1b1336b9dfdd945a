"""The value of a formula, with the symbols of its sizes, so that d is not D_h where both are 2.

A + B, A - B    equal sizes, or a number beside anything
A B, A @ B      the product of matrices; a number times anything
A o B           elementwise, of equal sizes
A * B           elementwise where the sizes are equal, else the product of matrices
A / B           by a number, or elementwise
A^n             of numbers, rows and columns, elementwise
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.check import differences
from rnnlm.gradients.derivation.formula import tree
from rnnlm.gradients.derivation.formula.errors import FormulaError, SizeError
from rnnlm.gradients.derivation.formula.names import Names, Sizes
from rnnlm.gradients.derivation.formula.tree import Index, Name, Node
from rnnlm.gradients.derivation.unrolled import PARAMETERS, Unrolled
from rnnlm.network.reference import equations

Array = NDArray[np.float64]

NUMBER: Sizes = ("1", "1")


class Value(NamedTuple):
    """A matrix and its sizes, by their symbols."""

    array: Array
    sizes: Sizes


class Quantity(NamedTuple):
    """What a name or a derivative stands for: names of ``Unrolled``; bottom "": no derivative."""

    top: str
    bottom: str
    sizes: Sizes


class Numbers:
    """The numbers that a formula is evaluated with.

    Args:
        net: the unrolled network; names: its letters; text: the formula, for messages.
    """

    def __init__(self, net: Unrolled, names: Names) -> None:
        self.net, self.names = net, names
        self._derivatives: dict[str, dict[str, Array]] = {}

    @cached_property
    def bound(self) -> Mapping[str, int]:
        """The variables that have a value outside sums."""
        T = {"T": self.names.last}
        return T | {"t": self.names.first} if self.net.steps == 1 else T

    def value(self, quantity: Quantity) -> Array:
        top, bottom, _ = quantity
        if not bottom:
            if top.startswith("delta"):
                return self.value(_delta(top, quantity.sizes))
            return np.asarray(self.net[top])
        if top.partition("(")[0] == "J":
            if top not in self._derivatives:
                losses = None if top == "J" else [int(top[2:-1])]
                self._derivatives[top] = self.net.derivatives(losses)
            if bottom == f"z1({self.net.steps + 1})":  # delta1 after the last step
                return np.zeros_like(self.net["h(0)"])
            return self._derivatives[top][bottom]
        return self._jacobian(top, bottom)

    def function(self, quantity: Quantity) -> Callable[[Any], Any]:
        """The top as a function of the bottom, numbers as numbers."""
        top, bottom, _ = quantity
        return lambda x: self.net.run({bottom: x})[top]

    def start(self, quantity: Quantity) -> Array:
        """The bottom's own value."""
        return np.asarray(self.net[self._plain(quantity.bottom)])

    def _plain(self, bottom: str) -> str:
        return bottom.partition("|")[0]

    def _jacobian(self, top: str, bottom: str) -> Array:
        """By complex steps: row i says what number i of the bottom does to the top."""
        at, rows = self.net[self._plain(bottom)], []
        for i in np.ndindex(at.shape):
            moved = at.astype(complex)
            moved[i] += 1j * differences.COMPLEX_STEP
            rows.append(self.net.run({bottom: moved})[top].imag.ravel() / differences.COMPLEX_STEP)
        made = np.array(rows)
        return made.reshape(at.shape) if made.shape[1] == 1 else made


def _delta(top: str, sizes: Sizes) -> Quantity:
    letter, _, step = top.partition("(")
    return Quantity("J", f"{'z1' if letter == 'delta1' else 'z2'}({step}", sizes)


class Evaluator:
    """Evaluates the nodes of one formula.

    Raises:
        SizeError: sizes that do not go together; FormulaError: a step that there is not.
    """

    def __init__(self, numbers: Numbers, text: str) -> None:
        self.numbers, self.names, self.text = numbers, numbers.names, text

    def __call__(self, node: Node, bound: Mapping[str, int] | None = None) -> Value:
        bound = self.numbers.bound if bound is None else bound
        with np.errstate(all="ignore"):
            return self._value(node, bound)

    def quantity(self, node: Name | tree.Derivative, bound: Mapping[str, int] | None = None) -> Quantity:
        """What a name or a derivative stands for."""
        bound = self.numbers.bound if bound is None else bound
        if isinstance(node, Name):
            base, key = self._key(node, bound)
            return Quantity(key, "", self.names.sizes(base))
        top_base, top = self._key(node.top, bound)
        base, bottom = self._key(node.bottom, bound)
        if base in ("y", "y^", "J") or base.startswith("delta"):
            wrong = "no derivative by this is asked for; by weights, z1, z2, h, e"
            raise FormulaError(self.text, node.bottom.start, wrong)
        if top_base in (*PARAMETERS, "e", "y") or top_base.startswith("delta"):
            raise FormulaError(self.text, node.top.start, "no derivative of this is asked for; of J, h, z1, z2, y^")
        if node.at is not None:
            if base not in PARAMETERS:
                raise FormulaError(self.text, node.end, "|t is for a weight that is changed at step t alone")
            step = self._step(node.at, bound, node.end - 1)
            if not self.names.first <= step <= self.names.last:
                wrong = f"there is no step {step}; the steps are {self.names.first} to {self.names.last}"
                raise FormulaError(self.text, node.end - 1, wrong)
            bottom += f"|{step - self.names.first + 1}"
        above, below = self.names.sizes(top_base), self.names.sizes(base)
        if above == NUMBER:
            return Quantity(top, bottom, below)
        if below[0] != "1":
            raise FormulaError(
                self.text, node.start,
                "a row by a matrix has three indices; take the derivative of J, or see the third-order tensor in "
                "docs/derivation.md",
            )  # fmt: skip
        return Quantity(top, bottom, (below[1], above[1]))

    # -- names

    def _step(self, index: Index, bound: Mapping[str, int], at: int) -> int:
        if index.variable and index.variable not in bound:
            raise FormulaError(
                self.text, at, f"{index.variable} is no step here; give its number, or write sum_{index.variable} ..."
            )
        return bound.get(index.variable, 0) + index.offset

    def _key(self, node: Name, bound: Mapping[str, int]) -> tuple[str, str]:
        base, steps, only = self.names.letters[node.letter]
        if only is not None:
            return base, self.names.key(base, only)
        if steps is None or (base == "J" and node.index is None):
            return base, base
        there = f"{node.letter}({steps[0]})" + (f" to {node.letter}({steps[-1]})" if len(steps) > 1 else "")
        if node.index is None:
            if self.names.default is None:
                raise FormulaError(self.text, node.start, f"{node.letter} has a step: {there}")
            return base, self.names.key(base, self.names.default)
        step = self._step(node.index, bound, node.stem)
        if step not in steps:
            why = ", as only these have a loss" if base in ("y", "J") else ""
            raise FormulaError(self.text, node.start, f"there is no {node.letter}({step}); there is {there}{why}")
        return base, self.names.key(base, step)

    # -- nodes

    def _value(self, node: Node, bound: Mapping[str, int]) -> Value:
        if isinstance(node, tree.Number):
            return Value(np.full((1, 1), node.value), NUMBER)
        if isinstance(node, Name | tree.Derivative):
            quantity = self.quantity(node, bound)
            return Value(self.numbers.value(quantity), quantity.sizes)
        if isinstance(node, tree.Binary):
            return self._binary(node, self._value(node.left, bound), self._value(node.right, bound))
        if isinstance(node, tree.Sum):
            return self._sum(node, bound)
        assert isinstance(node, tree.Group | tree.Transposed | tree.Negative | tree.Power | tree.Call)
        inner = self._value(node.of, bound)
        if isinstance(node, tree.Group):
            return inner
        if isinstance(node, tree.Negative):
            return Value(-inner.array, inner.sizes)
        if isinstance(node, tree.Transposed):
            return Value(inner.array.T, inner.sizes[::-1])
        if isinstance(node, tree.Power):
            if "1" not in inner.sizes:
                wrong = f"a power of a matrix, {_by(inner.sizes)}; write out the product"
                raise SizeError(self.text, node.of.end, wrong)
            return Value(inner.array**node.exponent, inner.sizes)
        return self._call(node, inner)

    def _sum(self, node: tree.Sum, bound: Mapping[str, int]) -> Value:
        low = self.names.first if node.low is None else self._step(node.low, bound, node.start)
        high = self.names.last if node.high is None else self._step(node.high, bound, node.start)
        if not self.names.first - 1 <= low <= high <= self.names.last + 1:
            wrong = f"a sum over the steps {low} to {high}; there are {self.names.first} to {self.names.last}"
            raise FormulaError(self.text, node.start, wrong)
        parts = [self._value(node.of, {**bound, node.variable: step}) for step in range(low, high + 1)]
        return Value(np.sum([part.array for part in parts], axis=0), parts[0].sizes)

    def _binary(self, node: tree.Binary, left: Value, right: Value) -> Value:
        (a, n), (b, m), operator = left, right, node.operator
        number = NUMBER in (n, m)
        alike = n == m or number
        larger = m if n == NUMBER else n
        if operator in "+-" and alike:
            return Value(a + b if operator == "+" else a - b, larger)
        if operator == "/" and alike:
            return Value(a / b, larger)
        if (operator in "*o" and alike) or (operator == "@" and number):
            return Value(a * b, larger)
        if operator in "*@" and n[1] == m[0]:
            return Value(a @ b, (n[0], m[1]))
        sizes, what = f"({_by(n)})({_by(m)})", "is no product of matrices, the inner sizes differ"
        if operator in "+-":
            sizes, what = f"{_by(n)} and {_by(m)}", "cannot be added"
        elif operator in "o/":
            sizes, what = f"{_by(n)} and {_by(m)}", "are no elementwise product, which takes equal sizes"
        elif n == m:
            what += "; the elementwise product is o"
        raise SizeError(self.text, node.at, f"{sizes} {what}")

    def _call(self, node: tree.Call, inner: Value) -> Value:
        x, sizes = inner
        own = self.numbers.net.activation
        if node.function in ("f", "sigmoid", "tanh", "relu"):
            return Value(equations.f(x, own if node.function == "f" else node.function), sizes)
        if node.function == "f'":
            return Value(equations.f_prime(equations.f(x, own), own), sizes)
        if node.function in ("exp", "log"):
            return Value(np.exp(x) if node.function == "exp" else np.log(x), sizes)
        if sizes[0] != "1":
            raise SizeError(self.text, node.start, f"{node.function} takes a row, not {_by(sizes)}")
        if node.function == "softmax":
            return Value(equations.softmax(x), sizes)
        return Value(np.diag(x[0]), (sizes[1], sizes[1]))


def _by(sizes: Sizes) -> str:
    return " x ".join(sizes)
