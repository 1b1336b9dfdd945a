"""The check of a typed formula against the numeric gradient, with these numbers and with others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rnnlm.gradients.derivation import quantities
from rnnlm.gradients.derivation.formula import mistakes, parser
from rnnlm.gradients.derivation.formula.errors import FormulaError, SizeError
from rnnlm.gradients.derivation.formula.evaluate import Evaluator, Numbers, Quantity
from rnnlm.gradients.derivation.formula.mistakes import Case
from rnnlm.gradients.derivation.formula.names import Names
from rnnlm.gradients.derivation.formula.tree import Derivative, Formula, Name
from rnnlm.gradients.derivation.records import FormulaCheck
from rnnlm.gradients.derivation.unrolled import Unrolled

# Other numbers of the same sizes: a formula that is right by chance, as where w = 1 or h(0) = 0, is wrong with them.
# More for relu, whose derivative is 0 or 1: at each step there have to be both.
_OTHERS = {"sigmoid": 4, "tanh": 4, "relu": 40}
# Rows and columns at each end of a large matrix that central differences are taken of.
_EDGE = 3


def check(text: str, net: Unrolled, names: Names, seed: int = 1) -> FormulaCheck:
    """Evaluate a formula, compare it, and name the mistake in a wrong one.

    Args:
        text: such as "dJ/dH = h(0)' delta1(1)"; net: the numbers; names: its letters.
        seed: of the other numbers.

    Raises:
        FormulaError: it cannot be read, a name is unknown, or it says nothing: what is given stands on the left, or
            the same on both sides. Says where.
    """
    formula = parser.parse(text, names)
    own = Numbers(net, names)
    evaluate = Evaluator(own, text)
    quantity = evaluate.quantity(formula.left)
    if not quantity.bottom and quantity.top in net.given:
        raise FormulaError(text, 0, "it is given, and follows from nothing; the left side is what is computed")
    if any(_same(node, quantity, evaluate) for node in formula.right.walk()):
        raise FormulaError(text, formula.right.start, "the same quantity stands on both sides, which says nothing")
    generator = np.random.default_rng(seed)
    nets = [net, *(_other(net, generator, positive=i % 2 == 0) for i in range(_OTHERS[net.activation]))]
    numbers = [own, *(Numbers(other, names) for other in nets[1:])]
    cases = [Case(one, one.value(quantity)) for one in numbers]
    name, symbols = text.partition("=")[0].strip(), " x ".join(quantity.sizes)
    made = FormulaCheck(text, name, symbols, value=None, right=cases[0].right, has="", edge=_EDGE)
    try:
        found = next(mistakes.values(formula, cases[:1]))
    except SizeError as error:
        made = replace(made, unfit=f"column {error.column + 1}: {error.message}")
        return _explained(made, formula, quantity, cases)
    if not np.isfinite(found.array).all():
        return _explained(replace(made, unfit="its value is no finite number"), formula, quantity, cases)
    made = replace(made, value=found.array, has=" x ".join(found.sizes))
    if found.sizes == quantity.sizes:
        held = _against(formula, quantity, own, found.array)
        made = replace(made, against=held.against, error=held.error, passed=held.passed)
        if not held.passed:
            off = float(np.abs(found.array - cases[0].right).max())
            made = replace(made, against=_against(formula, quantity, own, cases[0].right).against, error=off)
    if made.passed and mistakes.right(formula, quantity, cases):
        return made
    return _explained(replace(made, passed=False, by_chance=made.passed), formula, quantity, cases)


def _explained(made: FormulaCheck, formula: Formula, quantity: Quantity, cases: list[Case]) -> FormulaCheck:
    """The check of a wrong formula, with its mistake."""
    mistake = mistakes.find(formula, quantity, cases)
    return replace(made, mistake=mistake.what, corrected=mistake.corrected) if mistake else made


def _against(formula: Formula, quantity: Quantity, own: Numbers, value: Any) -> quantities.Quantity:
    """The formula's value beside central differences; a value that is no derivative beside the equations."""
    checker = quantities.Checker(_EDGE, own.net.given.values())
    name, rule, symbols = "", formula.text, " x ".join(quantity.sizes)
    if quantity.top.startswith("delta"):
        base = "z1" if quantity.top.startswith("delta1") else "z2"
        quantity = Quantity("J", f"{base}({quantity.top.partition('(')[2]}", quantity.sizes)
    after_the_last = f"z1({own.net.steps + 1})"
    if quantity.bottom in ("", after_the_last):
        return checker.equal(name, rule, symbols, value, own.value(quantity), "the equations")
    top = own.net[quantity.top]
    if top.shape != (1, 1):
        return checker.equal(name, rule, symbols, value, own.value(quantity), "complex steps")
    function = own.function(quantity)
    return checker.derivative(name, rule, symbols, value, lambda x: function(x)[0, 0], own.start(quantity))


def _same(node: Any, quantity: Quantity, evaluate: Evaluator) -> bool:
    """Whether a node, outside any sum, is the quantity itself."""
    if not isinstance(node, Name | Derivative):
        return False
    try:
        return evaluate.quantity(node) == quantity
    except FormulaError:
        return False


def _other(net: Unrolled, generator: np.random.Generator, positive: bool) -> Unrolled:
    """The same network with numbers at random. positive: of relu all z1 are, so that no derivative is 0."""
    given = {}
    for name, value in net.given.items():
        if name.startswith("y("):
            given[name] = np.eye(1, value.size, int(generator.integers(value.size)))
        else:
            given[name] = generator.uniform(-1.5, 1.5, value.shape) / np.sqrt(len(value))
            if positive and net.activation == "relu" and name not in ("U", "b2"):
                given[name] = np.abs(given[name]) / np.sqrt(len(value))
    return Unrolled(given, net.activation)
