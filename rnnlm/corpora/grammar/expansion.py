"""Expansion of symbols with arguments into plain rules, and the check that sentences end.

A few lines can stand for more rules, or for longer sentences, than any machine holds, so both have a limit.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np

from rnnlm.corpora.grammar.plain import Grammar, Rule
from rnnlm.corpora.grammar.source import Alternative, Source, Symbol, Word, error_at

# Limits far above what a grammar of a language needs: `english` has 422 symbols, 2,649 rules and 9 words a sentence.
SYMBOLS, RULES = 2_000, 50_000
STEPS = 1_000_000  # rewritings and words of a sentence, on average


class _Expansion:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.numbers: dict[Symbol, int] = {}
        self.order: list[Symbol] = []
        self.used: set[int] = set()  # alternatives and words, by id
        self.rules = 0
        self.words_of: dict[Symbol, list[tuple[str, float, Word]]] = {}

    def count(self, rules: int, what: object, line: int) -> None:
        """Count plain rules before they are made."""
        self.rules += rules
        if self.rules > RULES:
            raise error_at(
                self.source.path, line, f"{what}: the grammar stands for more than {RULES:,} plain rules; give "
                "features fewer values, or rules fewer free variables",
            )  # fmt: skip

    def number(self, symbol: Symbol) -> int:
        if symbol not in self.numbers:
            if len(self.order) == SYMBOLS:
                raise error_at(
                    self.source.path, self.source.lines[symbol.name], f"{symbol}: the grammar has more than "
                    f"{SYMBOLS:,} symbols, counted with their values; give features fewer values",
                )  # fmt: skip
            self.numbers[symbol] = len(self.order)
            self.order.append(symbol)
        return self.numbers[symbol]

    def words(self, symbol: Symbol) -> list[tuple[str, float, Word]]:
        """The words of a category under given values, with their weights."""
        if symbol not in self.words_of:
            self.words_of[symbol] = self._words(symbol)
        return self.words_of[symbol]

    def _words(self, symbol: Symbol) -> list[tuple[str, float, Word]]:
        source = self.source
        first = source.kinds[symbol.name][0] if symbol.arguments else None
        found = []
        for word in source.categories[symbol.name]:
            weight = word.weight
            for likes, value in zip(word.likes, symbol.arguments, strict=True):
                weight *= likes.get(value, 0.0)
            if weight > 0:
                form = list(source.features[first]).index(symbol.arguments[0]) if first and len(word.forms) > 1 else 0
                found.append((word.forms[form], weight, word))
        return found

    def category_rules(self, symbol: Symbol) -> list[Rule]:
        found = self.words(symbol)
        self.count(len(found), symbol, self.source.lines[symbol.name])
        total = math.fsum(weight for _, weight, _ in found)
        self.used.update(id(word) for _, _, word in found)
        return [Rule((form,), weight / total, word.line) for form, weight, word in found]

    def symbol_rules(self, symbol: Symbol) -> list[Rule]:
        """The rules of one nonterminal: all blocks whose left side it matches, put together."""
        fitting: list[tuple[Alternative, list[tuple[tuple[Symbol | str, ...], float]]]] = []
        for block in self.source.blocks[symbol.name]:
            given = self.match(block.left, symbol)
            if given is None:
                continue
            for alternative in block.alternatives:
                choices = self.choices(alternative, given)
                if choices:
                    fitting.append((alternative, choices))
                    self.used.add(id(alternative))
        weights = math.fsum(alternative.weight for alternative, _ in fitting)
        rules = []
        for alternative, choices in fitting:
            total = math.fsum(weight for _, weight in choices)
            for right, weight in choices:
                plain = tuple(x if isinstance(x, str) else self.number(x) for x in right)
                rules.append(Rule(plain, alternative.weight / weights * (weight / total), alternative.line))
        if not rules:
            line = self.source.lines[symbol.name]
            raise error_at(
                self.source.path, line, f"{symbol}: no alternative fits it; add a rule or a word, or keep it out"
            )
        return rules

    def match(self, left: Symbol, symbol: Symbol) -> dict[str, str] | None:
        given: dict[str, str] = {}
        for argument, value in zip(left.arguments, symbol.arguments, strict=True):
            wanted = argument if self.source.is_value(argument) else given.setdefault(argument, value)
            if wanted != value:
                return None
        return given

    def choices(
        self, alternative: Alternative, given: dict[str, str]
    ) -> list[tuple[tuple[Symbol | str, ...], float]]:
        """The right side under every choice of its free variables that has weight."""
        source = self.source
        mentioned = dict.fromkeys(a for x in alternative.right if isinstance(x, Symbol) for a in x.arguments)
        free = [a for a in mentioned if a not in given and not source.is_value(a)]
        values_of = [source.features[source.feature(a) or ""].items() for a in free]
        self.count(math.prod(map(len, values_of)), alternative.text, alternative.line)
        found = []
        for values in itertools.product(*values_of):
            bound = given | {a: value for a, (value, _) in zip(free, values, strict=True)}
            weight = math.prod(weight for _, weight in values)
            right: list[Symbol | str] = []
            for x in alternative.right:
                if isinstance(x, Symbol):
                    x = Symbol(x.name, tuple(bound.get(a, a) for a in x.arguments))
                    if x.name in source.categories:
                        weight *= math.fsum(w for _, w, _ in self.words(x))
                right.append(x)
            if weight > 0:
                found.append((tuple(right), weight))
        return found


def expand(source: Source) -> Grammar:
    expansion = _Expansion(source)
    expansion.number(Symbol(source.start, ()))
    rules: list[tuple[Rule, ...]] = []
    categories: set[int] = set()
    while len(rules) < len(expansion.order):
        number = len(rules)
        symbol = expansion.order[number]
        if symbol.name in source.categories:
            categories.add(number)
            rules.append(tuple(expansion.category_rules(symbol)))
        else:
            rules.append(tuple(expansion.symbol_rules(symbol)))
    reached = {symbol.name for symbol in expansion.order}
    for name, line in source.lines.items():
        if name not in reached:
            raise error_at(
                source.path, line, f"{name}: no sentence can reach it from {source.start}; use it or take it out"
            )
    for blocks in source.blocks.values():
        for alternative in itertools.chain.from_iterable(block.alternatives for block in blocks):
            if id(alternative) not in expansion.used:
                raise error_at(
                    source.path, alternative.line, f"{alternative.text}: no sentence can use it; mend or take it out"
                )
    for words in source.categories.values():
        for word in words:
            if id(word) not in expansion.used:
                raise error_at(
                    source.path, word.line, f"{'/'.join(word.forms)}: no sentence can use it; mend or take it out"
                )
    return Grammar(str(source.path), tuple(map(str, expansion.order)), tuple(rules), frozenset(categories))


def check_finite(grammar: Grammar) -> None:
    """Every nonterminal can come to an end, and does so after finitely many steps on average, at most `STEPS`."""
    # Imported here, so that importing the package stays quick.
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    path = Path(grammar.path)
    productive: set[int] = set()
    while True:
        more = {
            i
            for i, rules in enumerate(grammar.rules)
            if i not in productive and any(all(isinstance(x, str) or x in productive for x in r.right) for r in rules)
        }
        if not more:
            break
        productive |= more
    for i, rules in enumerate(grammar.rules):
        if i not in productive:
            name = grammar.symbols[i]
            raise error_at(
                path, rules[0].line, f"{name}: never comes to an end; give it an alternative without recursion"
            )
    means = grammar.means
    _, part = connected_components(csr_array(means), directed=True, connection="strong")
    for component in range(int(part.max()) + 1):
        members = np.flatnonzero(part == component)
        growth = float(np.abs(np.linalg.eigvals(means[np.ix_(members, members)])).max())
        # At growth 1 sentences do end, but their mean length is infinite.
        if growth > 1 - 1e-9:
            line, name = grammar.rules[members[0]][0].line, grammar.symbols[members[0]]
            advice = "lower the weights of the alternatives that lead back to it"
            found = f"recursion grows by a factor of {growth:.3g} a step, so the mean length is infinite"
            raise error_at(path, line, f"{name}: {found}; {advice}")
    with np.errstate(all="ignore"):
        steps = grammar.mean_steps()
    if not steps <= STEPS:
        raise error_at(
            path, grammar.rules[0][0].line,
            f"{grammar.symbols[0]}: a sentence takes {steps:.3g} rewritings and words on average; give rules fewer "
            f"symbols that multiply, for at most {STEPS:,}",
        )  # fmt: skip
