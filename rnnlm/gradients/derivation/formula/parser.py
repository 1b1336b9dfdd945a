"""The parser of formulas. Nothing that is typed is ever run.

    formula = (name | derivative) "=" sum
    sum     = product {("+" | "-") product}
    product = ["+" | "-"] factor {["@" | "o" | "*" | "/"] ["-"] factor}      from left to right
    factor  = atom {"'" | "^T" | "^" number}
    atom    = number | name | derivative | function "(" sum ")" | "(" sum ")" | over product
    over    = "sum_t" | "sum(t=1..T)"                                        reaches as far as the product does

A name has its step in brackets, h(1), h(t-1), or below, h_1. What cannot be mistaken is also read as other keyboards
and textbooks have it: δ, ŷ, ∂, Σ, ∘, ⊙, ·, −, [ ], ** for ^.
"""

from __future__ import annotations

import re

from rnnlm.gradients.derivation.formula import tree
from rnnlm.gradients.derivation.formula.errors import FormulaError
from rnnlm.gradients.derivation.formula.names import Names
from rnnlm.gradients.derivation.formula.tree import Formula, Index, Name, Node

# Far above any gradient of a few steps.
LONGEST, DEEPEST, HIGHEST_POWER, MOST_SUMS = 500, 30, 9, 2

_INDEX = r"(?:[tkT]|-?\d{1,4})(?:\s*[+-]\s*\d{1,4})?"
_END = r"(?![A-Za-z0-9_δ])"  # of a name
_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?(?![\w.])|\d+(?:\.\d*)?(?=[A-Za-z])")
_RANGE = rf"([tk])\s*=\s*({_INDEX})\s*(?:\.\.|:|,|to)\s*({_INDEX})"
_SUM = re.compile(rf"(?:sum|Σ)\s*(?:_\{{?([tk])\}}?(?!\w)|\(\s*{_RANGE}\s*\))")
_FUNCTION = re.compile(r"(f['’′]|f|sigmoid|tanh|relu|exp|log|ln|softmax|diag)\s*(?=[(\[])")
_OF_ONE = re.compile(r"(exp|log|ln|softmax)(?!\w)")  # log y^(1), without brackets
_TRANSPOSE = re.compile(r"['’′ᵀ]|\^\s*\{?T\}?(?!\w)")
_POWER = re.compile(r"(?:\^|\*\*)\s*\{?(-?\d+)\}?|([²³])")
_OPERATOR = re.compile(r"@|\*(?!\*)|/|[∘⊙·×]|o(?!\w)")
_READ_AS = {"∘": "o", "⊙": "o", "·": "*", "×": "*"}
_WORD = re.compile(r"[^\W\d]\w*\^?|\S")
_DERIVATIVE_OF = re.compile(r"[d∂]([A-Za-z]\w*)[^/\s]*\s*/\s*[d∂]")
_CLOSING = {"(": ")", "[": "]"}


def parse(text: str, names: Names) -> Formula:
    """The tree of a formula.

    Raises:
        FormulaError: it cannot be read, or a name is none of `names`; says where.
    """
    if len(text) > LONGEST:
        raise FormulaError(text, LONGEST, f"too long; a formula has at most {LONGEST} characters")
    parser = _Parser(text, names)
    left = parser.atom()
    if not isinstance(left, tree.Name | tree.Derivative):
        raise FormulaError(text, 0, "a formula begins with what it is for, as in dJ/dH = ...")
    parser.expect("=", "write the formula as dJ/dH = ...")
    right = parser.sum()
    if parser.rest():
        raise FormulaError(text, parser.at, f"no formula goes on with {parser.rest()[0]!r}")
    return Formula(text, left, right)


class _Parser:
    def __init__(self, text: str, names: Names) -> None:
        self.text, self.names = text, names
        self.at = self.depth = self.sums = 0
        # y^ is y hat, but y^T and y^2 are y.
        letters = sorted(names.letters, key=len, reverse=True)
        spelt = {letter: re.escape(letter).replace("delta", "(?:delta|δ)") for letter in letters}
        if "y^" in spelt:
            spelt["y^"] = r"(?:y\^(?!\s*(?:T(?!\w)|\d))|ŷ|yhat|y_hat)"
        if not names.digits:
            spelt = {letter: re.sub(r"(\d)$", r"_?\1", one) for letter, one in spelt.items()}
        digits = letters if names.digits else ["h", "e", "x"]
        below = {one: r"_\{?(-?\d{1,4})\}?" + (r"|(\d{1,4})" if one in digits else "") for one in letters}
        self._name = {
            letter: re.compile(rf"{one}(?:\s*\(\s*({_INDEX})\s*\)|(?:{below[letter]}){_END})|{one}{_END}")
            if names.letters[letter].steps is not None
            else re.compile(one + _END)
            for letter, one in spelt.items()
        }

    # -- what stands next

    def rest(self) -> str:
        """What is left, without the spaces before it."""
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        return self.text[self.at :]

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        self.rest()
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def expect(self, character: str, otherwise: str) -> None:
        if not self.rest().startswith(character):
            raise FormulaError(self.text, self.at, otherwise)
        self.at += 1

    # -- the grammar

    def sum(self) -> Node:
        node = self.product()
        while (sign := self.rest()[:1]) in ("+", "-", "−", "–") and sign:
            at, self.at = self.at, self.at + 1
            right = self.product()
            node = tree.Binary(node.start, right.end, "+" if sign == "+" else "-", node, right, at)
        return node

    def product(self) -> Node:
        if self.rest()[:1] == "+":
            self.at += 1
        node = self.factor()
        while True:
            self.rest()
            at = self.at
            if found := self.take(_OPERATOR):
                right = self.factor()
                operator = _READ_AS.get(found[0], found[0])
            elif self.begins():
                right, operator = self.factor(), "@"
            else:
                return node
            node = tree.Binary(node.start, right.end, operator, node, right, at)

    def factor(self) -> Node:
        self.rest()
        start = self.at
        if self.rest()[:1] in ("-", "−", "–") and self.rest():
            self.at += 1
            self.deeper(start)
            of = self.factor()
            self.depth -= 1
            return tree.Negative(start, of.end, of)
        node = self.atom()
        while True:
            if self.take(_TRANSPOSE):
                node = tree.Transposed(start, self.at, node)
            elif found := self.take(_POWER):
                exponent = {"²": 2, "³": 3}[found[2]] if found[2] else int(found[1][:9])
                if abs(exponent) > HIGHEST_POWER or isinstance(node, tree.Power):
                    wrong = f"powers go from -{HIGHEST_POWER} to {HIGHEST_POWER}, one at a time"
                    raise FormulaError(self.text, found.start(), wrong)
                node = tree.Power(start, self.at, node, exponent)
            else:
                return node

    def begins(self) -> bool:
        """Whether a factor begins here."""
        rest = self.rest()
        return bool(rest) and (rest[0].isalnum() or rest[0] in "([.∂Σ")

    def deeper(self, at: int) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise FormulaError(self.text, at, f"nested more than {DEEPEST} deep; write it flatter")

    def atom(self) -> Node:
        rest = self.rest()
        start = self.at
        if not rest:
            raise FormulaError(self.text, start, "a name, a number or a bracket belongs here")
        if found := self.take(_SUM):
            return self.over(start, found)
        if (made := self.derivative()) is not None:
            return made
        if found := self.take(_FUNCTION):
            function = re.sub("['’′]", "'", found[1]).replace("ln", "log")
            inner = self.brackets()
            return tree.Call(start, self.at, inner, function)
        if found := self.take(_OF_ONE):
            self.deeper(start)
            of = self.factor()
            self.depth -= 1
            return tree.Call(start, of.end, of, found[1].replace("ln", "log"))
        if (name := self.name()) is not None:
            return name
        if found := self.take(_NUMBER):
            return tree.Number(start, self.at, float(found[0]))
        if rest[0] in _CLOSING:
            inner = self.brackets()
            return tree.Group(start, self.at, inner)
        found = _WORD.match(rest)
        word = found[0] if found else rest[0]
        if typed := _DERIVATIVE_OF.match(rest):
            loss = ", and the loss is J" if typed[1] in ("L", "E", "C", "loss") else ""
            known = self.names.listed()
            raise FormulaError(self.text, start, f"no quantity is called {typed[1][:20]}{loss}; there are {known}")
        if word[0].isalpha():
            known = self.names.listed()
            raise FormulaError(self.text, start, f"no quantity is called {word[:20]}; there are {known}")
        raise FormulaError(self.text, start, "a name, a number or a bracket belongs here")

    def brackets(self) -> Node:
        """What stands in brackets; `at` is at the first."""
        opening = self.at
        closing = _CLOSING[self.text[opening]]
        self.deeper(opening)
        self.at += 1
        inner = self.sum()
        self.expect(closing, f"{closing} is missing, for the bracket in column {opening + 1}")
        self.depth -= 1
        return inner

    def over(self, start: int, found: re.Match[str]) -> Node:
        self.deeper(start)
        self.sums += 1
        if self.sums > MOST_SUMS:
            raise FormulaError(self.text, start, "a sum inside a sum inside a sum; two are the most")
        of = self.product()
        self.depth -= 1
        self.sums -= 1
        low, high = (self.index(text) if text else None for text in (found[3], found[4]))
        return tree.Sum(start, of.end, of, found[1] or found[2], low, high)

    def derivative(self) -> tree.Derivative | None:
        """dJ/dH, dJ/dw|1, ds(1)/ds(0); None: something else stands here."""
        start = self.at
        top = self.name() if self.differential() else None
        if top is not None and self.rest()[:1] == "/":
            self.at += 1
            self.rest()
            if self.differential():
                bottom = self.name()
                if bottom is None:
                    known = self.names.listed()
                    raise FormulaError(self.text, self.at, f"no quantity is called so; there are {known}")
                at = self.take(re.compile(r"\|\s*(?:t\s*=\s*)?([tkT]|-?\d{1,4})(?!\w)"))
                end = self.at = at.end() if at else bottom.end
                return tree.Derivative(start, end, top, bottom, self.index(at[1]) if at else None)
        self.at = start
        return None

    def differential(self) -> bool:
        """Whether a d begins here that belongs to the name after it; it is read."""
        found = self.text[self.at : self.at + 1] in ("d", "∂")
        self.at += found
        return found

    def name(self) -> Name | None:
        start = self.at
        for letter, pattern in self._name.items():
            if found := pattern.match(self.text, start):
                self.at = found.end()
                typed = next((group for group in found.groups() if group), None)
                stem = found.start(found.lastindex) if found.lastindex else found.end()
                return Name(start, self.at, letter, self.index(typed) if typed else None, stem)
        return None

    def index(self, text: str) -> Index:
        text = re.sub(r"\s", "", text)
        found = re.fullmatch(r"([tkT]?)(-?\d+)?([+-]\d+)?", text)
        assert found
        return Index(found[1], int(found[2] or 0) + int(found[3] or 0))
