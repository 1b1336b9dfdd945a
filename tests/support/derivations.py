"""How many derivations a sentence has, found without the program's help."""

from __future__ import annotations

from functools import cache

from rnnlm.corpora.grammar import Grammar


def ends(g: Grammar, words: list[str]):
    """An inside algorithm of the test's own: how many derivations the sentence has, and their probability."""

    @cache
    def symbol(i: int, a: int) -> dict[int, tuple[int, float]]:
        """What nonterminal i derives from position a on: by its end, (derivations, probability)."""
        total: dict[int, tuple[int, float]] = {}
        for rule in g.rules[i]:
            at = {a: (1, rule.probability)}
            for x in rule.right:
                after: dict[int, tuple[int, float]] = {}
                for position, (count, probability) in at.items():
                    if isinstance(x, str):
                        found = {position + 1: (1, 1.0)} if position < len(words) and words[position] == x else {}
                    else:
                        found = symbol(x, position)
                    for end, (c, p) in found.items():
                        before = after.get(end, (0, 0.0))
                        after[end] = before[0] + count * c, before[1] + probability * p
                at = after
                if not at:
                    break
            for end, (c, p) in at.items():
                before = total.get(end, (0, 0.0))
                total[end] = before[0] + c, before[1] + p
        return total

    return symbol(0, 0).get(len(words), (0, 0.0))
