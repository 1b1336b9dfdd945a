"""The mistake in a formula: found by what would mend it, at several sets of numbers at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.derivation.formula import parser
from rnnlm.gradients.derivation.formula.candidates import Candidates
from rnnlm.gradients.derivation.formula.errors import FormulaError
from rnnlm.gradients.derivation.formula.evaluate import Evaluator, Numbers, Quantity, Value
from rnnlm.gradients.derivation.formula.tree import Binary, Call, Formula, Group, Node, Number, Sum, Transposed
from rnnlm.gradients.derivation.unrolled import PARAMETERS
from rnnlm.network.reference import equations

Array = NDArray[np.float64]

# Relative to the largest number; the formula and the equations differ by rounding alone.
_CLOSE = 1e-9
# Nodes that are evaluated in search of a mistake, about a second's work; and what reading a formula costs, in nodes.
_EVALUATED, _READING = 200_000, 40


class Mistake(NamedTuple):
    """What is wrong, in words, and the formula without it (empty: nothing that could be written down)."""

    what: str
    corrected: str = ""


class Case(NamedTuple):
    """A set of numbers, and what the formula's left side is with them."""

    numbers: Numbers
    right: Array


def close(a: Array, b: Array) -> bool:
    """Whether two matrices are equal but for rounding."""
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return False
    return bool(np.abs(a - b).max() <= _CLOSE * max(np.abs(a).max(), np.abs(b).max()) + 1e-13)


def values(formula: Formula, cases: Sequence[Case]) -> Iterator[Value]:
    """What the formula gives, one set of numbers after the other.

    Raises:
        FormulaError: as `Evaluator`.
    """
    for case in cases:
        yield Evaluator(case.numbers, formula.text)(formula.right)


def right(formula: Formula, quantity: Quantity, cases: Sequence[Case]) -> bool:
    """Whether a formula is right with every set of numbers."""
    found = zip(values(formula, cases), cases, strict=True)
    return all(value.sizes == quantity.sizes and close(value.array, case.right) for value, case in found)


def find(formula: Formula, quantity: Quantity, cases: Sequence[Case]) -> Mistake | None:
    """The mistake in a formula that is wrong; None: more than one, or none that is known."""
    try:
        given = list(values(formula, cases))
    except FormulaError:
        given = []
    if given and (found := _of_the_whole(formula, quantity, cases, given)):
        return found
    if given and given[0].sizes == quantity.sizes and (found := _of_time(quantity, cases, given)):
        return found
    if found := _of_another_activation(formula, cases):
        return found
    return _of_one_place(formula, quantity, cases)


def _of_the_whole(
    formula: Formula, quantity: Quantity, cases: Sequence[Case], given: Sequence[Value]
) -> Mistake | None:
    """The sign, a transpose or a constant factor of the whole."""
    left, _, typed = formula.text.partition("=")
    start, typed = f"{left.rstrip()} =", typed.strip()
    pairs = [(value.array, case.right) for value, case in zip(given, cases, strict=True)]
    if given[0].sizes == quantity.sizes:
        if all(close(-a, b) for a, b in pairs):
            return Mistake("the sign: it is the negative of what is right", f"{start} -({typed})")
        if factor := _constant(pairs):
            ratio = Fraction(factor).limit_denominator(1000)
            if abs(ratio / Fraction(factor) - 1) > _CLOSE:
                return Mistake(f"a factor: it is {factor:.10g} times what is right")
            divided = f"{start} {1 / ratio} ({typed})"
            shorter = f"{start} {_without_number(formula, float(ratio))}"
            corrected = _first_right((shorter, divided), quantity, cases)
            return Mistake(f"a factor: it is {ratio} times what is right", corrected)
    if given[0].sizes == quantity.sizes[::-1] and all(close(a.T, b) for a, b in pairs):
        turned = f"{start} {_transposed(formula, formula.right)}", f"{start} ({typed})'"
        corrected = _first_right(turned, quantity, cases)
        return Mistake("a transpose: it is the transposed matrix of what is right", corrected)
    return None


def _first_right(texts: Sequence[str], quantity: Quantity, cases: Sequence[Case]) -> str:
    """The first of these formulas that is right, or the last of them."""
    names = cases[0].numbers.names
    for text in texts[:-1]:
        try:
            if right(parser.parse(text, names), quantity, cases):
                return text
        except FormulaError:
            continue
    return texts[-1]


def _without_number(formula: Formula, number: float) -> str:
    """The right side without this number, if it begins with it."""
    node = formula.right
    while isinstance(node, Binary) and node.operator in "@*":
        node = node.left
    end = node.end if isinstance(node, Number) and node.value == number else formula.right.start
    return formula.text[end : formula.right.end].lstrip(" @*")


def _transposed(formula: Formula, node: Node) -> str:
    """The transposed matrix of a part: of a product that of each factor, the other way round."""
    text = formula.text[node.start : node.end]
    if isinstance(node, Binary) and node.operator == "@":
        return f"{_transposed(formula, node.right)} {_transposed(formula, node.left)}"
    if isinstance(node, Transposed):
        return formula.text[node.of.start : node.of.end]
    return f"({text})'" if isinstance(node, Binary) else f"{text}'"


def _constant(pairs: Sequence[tuple[Array, Array]]) -> float | None:
    """The c with a = c b for all pairs; None: there is none."""
    a, b = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
    scale = float(b @ b)
    factor = float(a @ b) / scale if scale > 0 and np.isfinite(a).all() else 0.0
    return factor if factor and close(a, factor * b) else None


def _of_time(quantity: Quantity, cases: Sequence[Case], given: Sequence[Value]) -> Mistake | None:
    """Steps that a sum over time leaves out or has twice, losses that it leaves out, lags that it cuts off."""
    top, bottom, _ = quantity
    names = cases[0].numbers.names
    steps = range(1, cases[0].numbers.net.steps + 1)
    if bottom not in PARAMETERS or len(steps) == 1:
        return None
    typed = f"d{names.typed(top)}/d{names.typed(bottom)}"

    def part(case: Case, step: int) -> Array:
        return case.numbers.value(Quantity(top, f"{bottom}|{step}", quantity.sizes))

    most = len(steps) - 1 if len(steps) <= 6 else 1
    for missing in itertools.chain(*(itertools.combinations(steps, n) for n in range(1, most + 1))):
        *before, last = (str(names.shift(step)) for step in missing)
        part_of, be = ("the part of step", "is") if not before else ("the parts of steps", "are")
        shown = f"{', '.join(before)} and {last}" if before else last
        for sign, what in ((1, f"{be} missing"), (-1, "stand there twice" if before else "stands there twice")):
            if all(
                close(value.array + sign * sum(part(case, step) for step in missing), case.right)
                for value, case in zip(given, cases, strict=True)
            ):
                parts = " + ".join(f"{typed}|{names.shift(step)}" for step in missing)
                return Mistake(f"the sum over time: {part_of} {shown} {what}, which {be} {parts}")
    losses = cases[0].numbers.net.losses if top == "J" else []
    for lags in range(1, len(steps)):
        if losses and all(
            close(value.array, _truncated(case, quantity, losses, lags))
            for value, case in zip(given, cases, strict=True)
        ):
            cut = f"the sum over time: each J(t) is followed back over {lags} step{'s' * (lags > 1)} only"
            return Mistake(f"{cut}, as truncated backpropagation does")
    return None


def _truncated(case: Case, quantity: Quantity, losses: Sequence[int], lags: int) -> Array:
    bottom, sizes = quantity.bottom, quantity.sizes
    parts = [
        case.numbers.value(Quantity(f"J({t})", f"{bottom}|{s}", sizes))
        for t in losses
        for s in range(max(1, t - lags + 1), t + 1)
    ]
    return np.sum(parts, axis=0)


def _of_another_activation(formula: Formula, cases: Sequence[Case]) -> Mistake | None:
    """A part of the formula that is the derivative of another activation function."""
    numbers = cases[-1].numbers
    own, names, steps = numbers.net.activation, numbers.names, range(1, numbers.net.steps + 1)
    for node in formula.right.walk():
        if isinstance(node, Number | Call):
            continue
        try:
            value = Evaluator(numbers, formula.text)(node).array
        except FormulaError:
            continue
        for other in {"sigmoid", "tanh"} - {own}:
            for step in steps:
                h = numbers.net[f"h({step})"]
                if close(value, equations.f_prime(h, other)):
                    z = names.typed(f"z1({step})")
                    mended = _instead(formula, node, f"f'({z})")
                    try:
                        quantity = Evaluator(numbers, mended).quantity(formula.left)
                        if right(parser.parse(mended, names), quantity, cases):
                            typed = formula.text[node.start : node.end]
                            return Mistake(f"{typed} is the derivative of {other}; f is {own} here", mended)
                    except FormulaError:
                        continue
    return None


def _instead(formula: Formula, node: Node, text: str) -> str:
    whole = formula.text
    return whole[: node.start] + (f"({text})" if isinstance(node, Group) else text) + whole[node.end :]


def _cost(node: Node, steps: int) -> int:
    """Nodes that are evaluated, those inside sums once for each step."""
    return (steps if isinstance(node, Sum) else 1) * (1 + sum(_cost(part, steps) for part in node.parts))


def _of_one_place(formula: Formula, quantity: Quantity, cases: Sequence[Case]) -> Mistake | None:
    """One change of the text that makes the formula right; or right but for the sign of the whole."""
    names, negative = cases[0].numbers.names, None
    budget = _EVALUATED // (_READING + _cost(formula.right, cases[0].numbers.net.steps))
    # The last set of numbers is drawn at random: where a change is wrong, it shows there.
    others = [Case(case.numbers, -case.right) for case in cases]
    for text, what in itertools.islice(Candidates(formula, names), budget):
        try:
            changed = parser.parse(text, names)
            value = next(values(changed, cases[-1:]))
            if value.sizes != quantity.sizes:
                continue
            if close(value.array, cases[-1].right) and right(changed, quantity, cases):
                return Mistake(what, text)
            if negative is None and close(value.array, others[-1].right) and right(changed, quantity, others):
                left, _, typed = text.partition("=")
                negative = Mistake(f"{what}; and the sign of the whole", f"{left.rstrip()} = -({typed.strip()})")
        except FormulaError:
            continue
    return negative
