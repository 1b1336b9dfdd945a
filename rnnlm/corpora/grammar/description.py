"""Figures of a grammar, and whether it is ambiguous."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnnlm.corpora.grammar.ambiguity import slr_conflict
from rnnlm.corpora.grammar.plain import Grammar


@dataclass(frozen=True)
class Description:
    """What can be said of a grammar without a text. Lengths in words; a sentence's </s> is counted in the
    rates only.

    Where `unambiguous` is False, `ambiguity` says what stood in the way, and the figures are upper bounds.
    """

    path: str
    words: int
    nonterminals: int
    rules: int
    mean_sentence_length: float
    entropy_per_sentence_bits: float
    entropy_rate_bits: float
    lowest_perplexity: float
    unambiguous: bool
    ambiguity: str | None


def describe(grammar: Grammar) -> Description:
    """The figures of a grammar."""
    conflict = slr_conflict(grammar)
    return Description(
        path=grammar.path,
        words=len(grammar.words),
        nonterminals=len(grammar.symbols),
        rules=sum(len(rules) for rules in grammar.rules),
        mean_sentence_length=grammar.mean_length(),
        entropy_per_sentence_bits=grammar.entropy() / math.log(2),
        entropy_rate_bits=grammar.entropy_rate() / math.log(2),
        lowest_perplexity=grammar.lowest_perplexity(),
        unambiguous=conflict is None,
        ambiguity=conflict,
    )
