"""Formulas over the surprisal of regions, as SyntaxGym's test suites have them.

    (2;%match%)              the surprisal of region 2 of the condition match, in bits
    (*;%match%)              that of all its regions together
    0.5                      a number
    a + b, a - b             a sum, a difference
    a < b, a > b, a = b      a comparison; = means within 0.001 + 0.00001 |b|
    p & q, p | q             both, or at least one
    ( ) [ ]                  what belongs together

+ and - come before comparisons, and these before & and |; of one rank the first comes first. So does
syntaxgym-core (Gauthier et al. 2020). A formula is compiled to postfix notation, so that nothing of it is ever run as
a program and no nesting is too deep.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from rnnlm.errors import TextError

_RELATIVE, _ABSOLUTE = 1e-5, 1e-3


class Reference(NamedTuple):
    """A region of a condition. region: its number; None: all regions."""

    region: int | None
    condition: str

    def __str__(self) -> str:
        return f"({'*' if self.region is None else self.region};%{self.condition}%)"


class _Operator(NamedTuple):
    rank: int
    takes: type[Any]
    gives: type[Any]
    function: Callable[[Any, Any], Any]


def _about(a: float, b: float) -> bool:
    return abs(a - b) <= _ABSOLUTE + _RELATIVE * abs(b)


_OPERATORS = {
    "+": _Operator(3, float, float, operator.add),
    "-": _Operator(3, float, float, operator.sub),
    "<": _Operator(2, float, bool, operator.lt),
    ">": _Operator(2, float, bool, operator.gt),
    "=": _Operator(2, float, bool, _about),
    "&": _Operator(1, bool, bool, operator.and_),
    "|": _Operator(1, bool, bool, operator.or_),
}
_BRACKETS = {"(": ")", "[": "]"}
_REFERENCE = re.compile(r"\(\s*([0-9]{1,9}|\*)\s*;\s*%([\w-]+)%\s*\)")
_NUMBER = re.compile(r"[+-]?[0-9]{1,400}(?:\.[0-9]{1,400})?")
_KINDS: Mapping[type[Any], str] = {float: "a number", bool: "a comparison"}


@dataclass(frozen=True)
class Formula:
    """A formula that is true or false of an item. text: as the suite has it; steps: in postfix notation."""

    text: str
    steps: tuple[Reference | float | str, ...]

    @property
    def references(self) -> list[Reference]:
        """The regions that it names, in its order."""
        return [step for step in self.steps if isinstance(step, Reference)]

    def holds(self, surprisal: Mapping[Reference, float]) -> bool:
        """Whether it is true.

        Args:
            surprisal: of all that it names, in bits.
        """
        stack: list[Any] = []
        for step in self.steps:
            if isinstance(step, str):
                right, left = stack.pop(), stack.pop()
                stack.append(_OPERATORS[step].function(left, right))
            else:
                stack.append(surprisal[step] if isinstance(step, Reference) else step)
        return bool(stack.pop())


def compile(text: str, where: str) -> Formula:
    """The formula of a text.

    Args:
        where: it stands, for messages.

    Raises:
        TextError: it is none.
    """
    steps: list[Reference | float | str] = []
    kinds: list[type[Any]] = []  # of what the steps leave behind
    waiting: list[str] = []  # operators and brackets that are not closed

    def fail(place: int, needed: str) -> TextError:
        found = repr(text[place : place + 20]) if place < len(text) else "its end"
        return TextError(f"{where}: at character {place + 1} of the formula: found {found}; must be {needed}")

    def apply(sign: str) -> None:
        own = _OPERATORS[sign]
        for kind in (kinds.pop(), kinds.pop()):
            if kind is not own.takes:
                raise TextError(
                    f"{where}: the formula has {_KINDS[kind]} beside {sign}; must be {_KINDS[own.takes]} on both "
                    "sides"
                )
        steps.append(sign)
        kinds.append(own.gives)

    place, operand_is_next = 0, True
    while True:
        while text[place : place + 1].isspace():
            place += 1
        if place == len(text):
            break
        sign = text[place]
        if operand_is_next:
            if found := _REFERENCE.match(text, place):
                steps.append(Reference(None if found[1] == "*" else int(found[1]), found[2]))
            elif found := _NUMBER.match(text, place):
                steps.append(float(found[0]))
            elif sign in _BRACKETS:
                waiting.append(sign)
                place += 1
                continue
            else:
                raise fail(place, "(REGION;%CONDITION%), a number, or an opening bracket")
            kinds.append(float)
            place, operand_is_next = found.end(), False
        elif sign in _OPERATORS:
            while waiting and waiting[-1] in _OPERATORS and _OPERATORS[waiting[-1]].rank >= _OPERATORS[sign].rank:
                apply(waiting.pop())
            waiting.append(sign)
            place, operand_is_next = place + 1, True
        elif sign in _BRACKETS.values():
            while waiting and waiting[-1] in _OPERATORS:
                apply(waiting.pop())
            if not waiting or _BRACKETS[waiting.pop()] != sign:
                raise fail(place, "one of " + " ".join(_OPERATORS) + ": no such bracket is open")
            place += 1
        else:
            raise fail(place, "one of " + " ".join(_OPERATORS) + ", or a closing bracket")
    if operand_is_next:
        raise fail(place, "(REGION;%CONDITION%) or a number")
    while waiting:
        if waiting[-1] in _BRACKETS:
            raise fail(place, f"{_BRACKETS[waiting[-1]]}, which closes a bracket")
        apply(waiting.pop())
    if kinds != [bool]:
        raise TextError(f"{where}: the formula is a number; must be a comparison, as in (2;%a%) < (2;%b%)")
    return Formula(text, tuple(steps))
