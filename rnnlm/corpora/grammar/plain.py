"""A plain grammar: its rules, its entropy, and the sentences that it draws.

The equations are in the package's docstring.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Rule:
    """One plain rule. `right`: words (str) and nonterminals (int, their index); `line`: in the file."""

    right: tuple[int | str, ...]
    probability: float
    line: int


@dataclass(frozen=True)
class Grammar:
    """A plain grammar that has been checked. `rules[i]` are those of nonterminal `symbols[i]`; the start is
    number 0.

    `categories` are the nonterminals that are word categories: each of their rules is one word.
    """

    path: str
    symbols: tuple[str, ...]
    rules: tuple[tuple[Rule, ...], ...]
    categories: frozenset[int] = field(default=frozenset())

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Every word of the language, sorted."""
        return tuple(sorted({x for rules in self.rules for rule in rules for x in rule.right if isinstance(x, str)}))

    def entropy(self) -> float:
        """Entropy of a sentence in nats, exact (of its derivation where the grammar is ambiguous)."""
        local = [-math.fsum(rule.probability * math.log(rule.probability) for rule in rules) for rules in self.rules]
        return self._expected(local)

    def mean_length(self) -> float:
        """Mean number of words in a sentence, without </s>, exact."""
        local = [
            math.fsum(rule.probability * sum(isinstance(x, str) for x in rule.right) for rule in rules)
            for rules in self.rules
        ]
        return self._expected(local)

    def mean_steps(self) -> float:
        """Mean number of rewritings and words that make a sentence."""
        local = [
            1 + math.fsum(rule.probability * sum(isinstance(x, str) for x in rule.right) for rule in rules)
            for rules in self.rules
        ]
        return self._expected(local)

    def entropy_rate(self) -> float:
        """Nats a token, one </s> a sentence counted; over ``math.log(2)``, bits a token."""
        return self.entropy() / (self.mean_length() + 1)

    def lowest_perplexity(self) -> float:
        """The perplexity of the grammar itself; no model has a lower one on its texts, but by chance."""
        return math.exp(self.entropy_rate())

    def generate(self, sentences: int, seed: int | Sequence[int]) -> Iterator[tuple[str, float]]:
        """Sentences drawn independently, each with the natural logarithm of its probability.

        The words are the same on every machine: one PCG64 stream of doubles, one draw for every nonterminal
        that has a choice, leftmost first. A stack stands in for recursion, so depth has no limit. A seed may
        be a sequence, such as (seed, part), for texts that must differ.
        """
        uniform = _uniforms(seed)
        tables = self._tables
        for _ in range(sentences):
            words: list[str] = []
            log_probability = 0.0
            stack: list[int | str] = [0]
            while stack:
                symbol = stack.pop()
                if isinstance(symbol, str):
                    words.append(symbol)
                    continue
                bounds, rights, logs = tables[symbol]
                choice = bisect_right(bounds, next(uniform)) if bounds else 0
                log_probability += logs[choice]
                stack.extend(rights[choice])
            yield " ".join(words), log_probability

    @cached_property
    def _tables(self) -> list[tuple[list[float], list[tuple[int | str, ...]], list[float]]]:
        """For each nonterminal: inner bounds of its rules in [0, 1), reversed right sides, log
        probabilities."""
        tables = []
        for rules in self.rules:
            bounds = list(itertools.accumulate(rule.probability for rule in rules))[:-1]
            tables.append(
                (bounds, [rule.right[::-1] for rule in rules], [math.log(rule.probability) for rule in rules])
            )
        return tables

    @cached_property
    def means(self) -> np.ndarray:
        """A: how often, on average, nonterminal j stands in one rewriting of nonterminal i."""
        means = np.zeros((len(self.symbols), len(self.symbols)))
        for i, rules in enumerate(self.rules):
            for rule in rules:
                for x in rule.right:
                    if isinstance(x, int):
                        means[i, x] += rule.probability
        return means

    def _expected(self, local: list[float]) -> float:
        """The start's entry of x = A x + local."""
        return float(np.linalg.solve(np.eye(len(local)) - self.means, np.array(local))[0])


def _uniforms(seed: int | Sequence[int]) -> Iterator[float]:
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    while True:
        yield from generator.random(8192).tolist()
