"""Proof that a grammar is unambiguous: its SLR(1) automaton (DeRemer 1971) has no conflict."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

from rnnlm.corpora.grammar.plain import Grammar

# Where the proof would take more than about a minute it is not tried.
_RIGHT_SIDES, _ITEMS = 20_000, 2_000_000
_TOO_LARGE = "the grammar is too large for the proof"

_Right = tuple[int | str, ...]


def slr_conflict(grammar: Grammar) -> str | None:
    """The first conflict of the grammar's SLR(1) automaton, None where it has none: then it is unambiguous.

    A conflict is no proof of ambiguity; there are unambiguous grammars that are not SLR(1). The construction
    is algorithm 4.46 of Aho, Lam, Sethi & Ullman (2006).
    """
    lefts, rights, twice = _without_categories(grammar)
    if twice:
        return twice
    by_left: dict[int | str, list[int]] = defaultdict(list)
    for rule, left in enumerate(lefts):
        by_left[left].append(rule)
    names = (*grammar.symbols, "the whole sentence")  # number -1, the new start, is the last
    follow = _follow(lefts, rights)
    # A state is its kernel: a set of (rule, position of the dot).
    start = frozenset({(0, 0)})
    states, todo, items = {start}, [start], 0
    while todo:
        moves: dict[int | str, set[tuple[int, int]]] = defaultdict(set)
        reductions: dict[str, int] = {}
        closure = _closure(todo.pop(), rights, by_left)
        items += len(closure)
        if items > _ITEMS:
            return _TOO_LARGE
        for rule, dot in sorted(closure):
            if dot < len(rights[rule]):
                moves[rights[rule][dot]].add((rule, dot + 1))
                continue
            for word in sorted(follow[lefts[rule]]):
                if word in reductions:
                    one, two = (names[lefts[r]] for r in (reductions[word], rule))
                    return f"before {word or '</s>'}, what was read may be {one} or {two}"
                reductions[word] = rule
        for word, rule in reductions.items():
            if word in moves:
                return f"{word} may belong to {names[lefts[rule]]} or come after it"
        for state in map(frozenset, moves.values()):
            if state not in states:
                states.add(state)
                todo.append(state)
    return None


def _without_categories(grammar: Grammar) -> tuple[list[int], list[_Right], str | None]:
    """Left and right sides with words in the place of categories, and the first right side that a symbol has
    twice.

    Rule 0 is start' -> start, with -1 for start'. Which category a word came from follows from the rule.
    Words that the same categories have behave the same, so one of them stands for all.
    """
    homes: dict[str, set[int]] = defaultdict(set)
    literals = set()
    for number, rules in enumerate(grammar.rules):
        for word in (x for rule in rules for x in rule.right if isinstance(x, str)):
            if number in grammar.categories:
                homes[word].add(number)
            else:
                literals.add(word)
    examples: dict[frozenset[int], str] = {}
    stands_for = {
        word: examples.setdefault(frozenset(home), word) for word, home in homes.items() if word not in literals
    }
    stands_for.update((word, word) for word in literals)

    lefts: list[int] = [-1]
    rights: list[_Right] = [(0,)]
    for number, rules in enumerate(grammar.rules):
        if number in grammar.categories:
            continue
        seen: set[_Right] = set()
        for rule in rules:
            options: list[list[int | str]] = []
            for x in rule.right:
                if isinstance(x, str):
                    options.append([x])
                elif x in grammar.categories:
                    options.append(sorted({stands_for[str(word.right[0])] for word in grammar.rules[x]}))
                else:
                    options.append([x])
            if len(rights) + math.prod(map(len, options)) > _RIGHT_SIDES:
                return lefts, rights, _TOO_LARGE
            for right in itertools.product(*options):
                if right in seen:
                    shown = " ".join(x if isinstance(x, str) else grammar.symbols[x] for x in right) or "nothing"
                    return lefts, rights, f"{grammar.symbols[number]} makes {shown} in two ways (line {rule.line})"
                seen.add(right)
                lefts.append(number)
                rights.append(right)
    return lefts, rights, None


def _closure(
    kernel: frozenset[tuple[int, int]], rights: list[_Right], by_left: dict[int | str, list[int]]
) -> set[tuple[int, int]]:
    """The kernel and every rule of each symbol that stands right of a dot."""
    items, todo = set(kernel), list(kernel)
    while todo:
        rule, dot = todo.pop()
        if dot < len(rights[rule]):
            new = {(other, 0) for other in by_left.get(rights[rule][dot], ())} - items
            items |= new
            todo += new
    return items


def _first(lefts: list[int], rights: list[_Right]) -> tuple[set[int], dict[int, set[str]]]:
    """Nonterminals that derive the empty string, and the words that each nonterminal can begin with."""
    nullable: set[int] = set()
    first: dict[int, set[str]] = defaultdict(set)
    changed = True
    while changed:
        changed = False
        for left, right in zip(lefts, rights, strict=True):
            before = len(first[left]), left in nullable
            for x in right:
                first[left] |= {x} if isinstance(x, str) else first[x]
                if x not in nullable:
                    break
            else:
                nullable.add(left)
            changed |= before != (len(first[left]), left in nullable)
    return nullable, first


def _follow(lefts: list[int], rights: list[_Right]) -> dict[int, set[str]]:
    """The words that can come right after each nonterminal; "" is the sentence's end."""
    nullable, first = _first(lefts, rights)
    follow: dict[int, set[str]] = defaultdict(set, {-1: {""}})
    changed = True
    while changed:
        changed = False
        for left, right in zip(lefts, rights, strict=True):
            after = set(follow[left])
            for x in reversed(right):
                if isinstance(x, str):
                    after = {x}
                    continue
                before = len(follow[x])
                follow[x] |= after
                changed |= before != len(follow[x])
                after = after | first[x] if x in nullable else set(first[x])
    return follow
