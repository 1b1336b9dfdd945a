"""Formulas one small change away from a typed one, each with the mistake that the change would mend."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from rnnlm.gradients.derivation.formula import tree
from rnnlm.gradients.derivation.formula.names import Names
from rnnlm.gradients.derivation.formula.tree import Formula, Name, Node

_WEIGHTS = ("H", "U", "I")


class Candidate(NamedTuple):
    """A formula, and what was wrong if it is right."""

    text: str
    mistake: str


class Candidates:
    """The changes of one formula, the likeliest mistakes first."""

    def __init__(self, formula: Formula, names: Names) -> None:
        self.formula, self.names = formula, names
        self.nodes = list(formula.right.walk())
        self.variables: dict[Node, str] = {}
        for node in self.nodes:
            if isinstance(node, tree.Sum):
                self.variables |= dict.fromkeys(node.walk(), node.variable)
        self.factors = [n for n in self.nodes if isinstance(n, Name | tree.Derivative | tree.Group | tree.Call)]

    def __iter__(self) -> Iterator[Candidate]:
        yield from self._transposes()
        yield from self._signs()
        yield from self._functions()
        yield from self._steps()
        yield from self._all_steps()
        yield from self._without_f_prime()
        yield from self._with_f_prime()
        yield from self._operators()
        yield from self._brackets()
        yield from self._order()
        yield from self._without_a_factor()
        yield from self._without_a_term()
        yield from self._with_a_term()
        yield from self._other_names()
        yield from self._with_a_factor()
        yield from self._without_two_factors()

    def text(self, node: Node) -> str:
        return self.formula.text[node.start : node.end]

    def _put(self, start: int, end: int, text: str, mistake: str) -> Candidate:
        whole = self.formula.text
        return Candidate(whole[:start] + text + whole[end:], mistake)

    def _instead(self, node: Node, text: str, mistake: str) -> Candidate:
        return self._put(node.start, node.end, text, mistake)

    def _names(self, node: Node) -> tuple[Node, ...]:
        return tuple(part for part in node.parts if isinstance(part, Name))

    # -- one mistake each

    def _transposes(self) -> Iterator[Candidate]:
        transposed = {node.of for node in self.nodes if isinstance(node, tree.Transposed)}
        for node in self.nodes:
            if isinstance(node, tree.Transposed):
                inner = self.text(node.of)
                yield self._instead(node, inner, f"{self.text(node)} must not be transposed: {inner}")
        for node in self.factors:
            if node not in transposed and not isinstance(node, tree.Call):
                yield self._instead(node, f"{self.text(node)}'", f"a transpose is missing: {self.text(node)}'")

    def _signs(self) -> Iterator[Candidate]:
        for node in self.nodes:
            if isinstance(node, tree.Binary) and node.operator in "+-":
                other = "-" if node.operator == "+" else "+"
                what = f"the sign of {self.text(node.right)}: {other} belongs before it, not {node.operator}"
                yield self._put(node.at, node.at + 1, other, what)
            elif isinstance(node, tree.Negative):
                yield self._instead(node, self.text(node.of), f"the sign of {self.text(node)}: + belongs there")
            if isinstance(node, tree.Binary) and node.operator == "-":
                left, right = self.text(node.left), self.text(node.right)
                swapped = f"({right}) - ({left})" if node.parts != self._names(node) else f"{right} - {left}"
                yield self._instead(node, swapped, f"the sign of {self.text(node)}: {swapped} belongs there")

    def _functions(self) -> Iterator[Candidate]:
        for node in self.nodes:
            if isinstance(node, tree.Call) and node.function in ("f", "f'"):
                other = "f" if node.function == "f'" else "f'"
                what = f"{self.text(node)}: {other} belongs there, not {node.function}"
                yield self._instead(node, f"{other}{self.text(node)[len(node.function) :].lstrip()}", what)

    def _steps(self) -> Iterator[Candidate]:
        for node in self.nodes:
            names = [node.top, node.bottom] if isinstance(node, tree.Derivative) else [node]
            for name in names:
                if isinstance(name, Name) and name.index is not None:
                    letter = self.formula.text[name.start : name.stem].rstrip("( _{")
                    for by in (-1, 1):
                        index = tree.Index(name.index.variable, name.index.offset + by)
                        new = f"{letter}({_typed(index)})"
                        what = f"the step of {self.text(name)}: it must be {new}"
                        yield self._instead(name, new, what)

    def _all_steps(self) -> Iterator[Candidate]:
        """Every step of one letter one too early or too late."""
        indexed: dict[str, list[Name]] = {}
        for node in self.nodes:
            if isinstance(node, Name) and node.index is not None:
                indexed.setdefault(node.letter, []).append(node)
        for letter, nodes in indexed.items():
            for by in (-1, 1) if len(nodes) > 1 else ():
                text = self.formula.text
                for node in sorted(nodes, key=lambda one: -one.start):
                    assert node.index is not None
                    index = tree.Index(node.index.variable, node.index.offset + by)
                    text = f"{text[: node.start]}{letter}({_typed(index)}){text[node.end :]}"
                yield Candidate(text, f"the steps of {letter}: each is one too {'late' if by < 0 else 'early'}")

    def _without_f_prime(self) -> Iterator[Candidate]:
        for node in self.nodes:
            if isinstance(node, tree.Binary) and node.operator in "@*o":
                for own, other in ((node.right, node.left), (node.left, node.right)):
                    if isinstance(own, tree.Call) and own.function == "f'":
                        yield self._instead(node, self.text(other), f"an f' too many: {self.text(own)}")

    def _with_f_prime(self) -> Iterator[Candidate]:
        z = next(letter for letter, one in self.names.letters.items() if one.base == "z1")
        for node in self.factors:
            for step in self._near(node):
                f_prime = f"f'({z}({step}))"
                new = f"({self.text(node)} o {f_prime})"
                yield self._instead(node, new, f"an f' is missing: {f_prime} belongs beside {self.text(node)}")

    def _operators(self) -> Iterator[Candidate]:
        for node in self.nodes:
            if not isinstance(node, tree.Binary):
                continue
            text = self.formula.text
            end = node.at + (text[node.at] in "+-−–@o*/∘⊙·×" and not self._begins_with_o(node))
            typed = text[node.at : end] or "a product"
            left, right = self.text(node.left), self.text(node.right)
            for new in ("+", "-", "o", "@"):
                if new != node.operator:
                    what = {"o": "o (elementwise)", "@": "a product"}.get(new, new)
                    mistake = f"{typed} stands where {what} belongs, between {left} and {right}"
                    yield self._put(node.at, end, f"{new} " if end == node.at else new, mistake)
                    yield self._instead(node, f"(({left}) {new} ({right}))", mistake)

    def _brackets(self) -> Iterator[Candidate]:
        """a b c for a (b o c): the elementwise product without its sign and its brackets."""
        for node in self.nodes:
            chain = [self.text(one) for _, one in self._chain(node)]
            for i in range(len(chain) - 1):
                new = f"{' '.join(chain[:i])} ({' '.join(chain[i:-1])} o {chain[-1]})".strip()
                yield self._instead(node, new, f"the elementwise product and its brackets: it must be {new}")

    def _order(self) -> Iterator[Candidate]:
        for node in self.nodes:
            if isinstance(node, tree.Binary) and node.operator == "@":
                left, right = self.text(node.left), self.text(node.right)
                for new in (f"{right} {left}", f"{right} {left}'", f"{right}' {left}", f"{right}' {left}'"):
                    yield self._instead(node, f"({new})", f"the order of {left} and {right}: it must be {new}")

    def _without_a_factor(self) -> Iterator[Candidate]:
        for node in self.nodes:
            if isinstance(node, tree.Binary) and node.operator in "@*o/":
                for own, other in ((node.right, node.left), (node.left, node.right)):
                    if own is node.right or node.operator != "/":
                        yield self._instead(node, self.text(other), f"the factor {self.text(own)} is one too many")
            elif isinstance(node, tree.Power):
                yield self._instead(node, self.text(node.of), f"the power of {self.text(node)} is too high")

    def _without_two_factors(self) -> Iterator[Candidate]:
        for node in self.nodes:
            chain = self._chain(node)
            for i, j in itertools.combinations(range(len(chain)), 2):
                left = [one for k, one in enumerate(chain) if k not in (i, j)]
                if left:
                    text = "".join(f" {operator} {self.text(own)}" for operator, own in left)
                    several = f"{self.text(chain[i][1])} and {self.text(chain[j][1])}"
                    new = text[len(left[0][0]) + 2 :]
                    yield self._instead(node, f"({new})", f"the factors {several} are too many")

    def _chain(self, node: Node) -> list[tuple[str, Node]]:
        """The factors of a product, each with the operator before it."""
        if isinstance(node, tree.Binary) and node.operator in "@*o":
            return [*self._chain(node.left), (node.operator, node.right)]
        return [("@", node)]

    def _without_a_term(self) -> Iterator[Candidate]:
        for node in self.nodes:
            if isinstance(node, tree.Binary) and node.operator in "+-":
                for own, other in ((node.right, node.left), (node.left, node.right)):
                    yield self._instead(node, f"({self.text(other)})", f"the term {self.text(own)} is one too many")

    def _with_a_term(self) -> Iterator[Candidate]:
        """What comes back to a state along a path that was forgotten."""
        weights = [letter for letter, one in self.names.letters.items() if one.base in ("H", "U", "I")]
        deltas = [letter for letter, one in self.names.letters.items() if one.base in ("delta1", "delta2")]
        for letter, weight in itertools.product(deltas, weights):
            steps = self.names.letters[letter].steps
            for step in [""] if steps is None else [f"({step})" for step in [*steps][-8:]]:
                term = f"{letter}{step} {weight}'"
                yield Candidate(f"{self.formula.text} + {term}", f"the term {term} is missing")

    def _begins_with_o(self, node: tree.Binary) -> bool:
        """Whether the product has no sign, and the o is a name."""
        return node.at == node.right.start

    def _other_names(self) -> Iterator[Candidate]:
        for node in self.nodes:
            if isinstance(node, Name | tree.Derivative):
                for new in self._quantities(node):
                    if new != self.text(node):
                        yield self._instead(node, new, f"{self.text(node)} stands where {new} belongs")

    def _with_a_factor(self) -> Iterator[Candidate]:
        scalars = self.names.digits
        for node in [*self.factors, *(n for n in self.nodes if isinstance(n, tree.Transposed))]:
            own = self.text(node)
            for name in self._quantities(node):
                places = [f"({own} {name})"]
                if not scalars:
                    places += [f"({own} {name}')", f"({name} {own})", f"({name}' {own})"]
                for new in places:
                    factor = new[1:-1].replace(own, "", 1).strip()
                    yield self._instead(node, new, f"the factor {factor} is missing beside {own}")

    # -- what may be put in

    def _near(self, node: Node) -> list[str]:
        """The steps that a new name beside a node may have, as they are typed."""
        variable = self.variables.get(node)
        if variable is None and self.names.default is not None and "(t" in self.formula.text:
            variable = "t"
        if variable is not None:
            return [variable, f"{variable}-1", f"{variable}+1"]
        return [str(step) for step in range(self.names.first - 1, self.names.last + 1)][-8:]

    def _quantities(self, node: Node) -> Iterator[str]:
        """Names that may belong beside a node or in its place."""
        done: set[tuple[str, int | None]] = set()
        for letter, one in self.names.letters.items():
            if (one.base, one.step) not in done and one.base != "J":
                done.add((one.base, one.step))
                yield from [letter] if one.steps is None else [f"{letter}({step})" for step in self._near(node)]


def _typed(index: tree.Index) -> str:
    if not index.variable:
        return str(index.offset)
    return index.variable + (f"{index.offset:+d}" if index.offset else "")
