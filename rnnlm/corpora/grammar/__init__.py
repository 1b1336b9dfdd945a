"""Probabilistic context-free grammars: their texts, and the lowest possible perplexity.

The file (``corpora/README.md`` shows one) has features, rules and words. A rule such as

    Event[n, k]:
      Transitive[n, k, k2] Phrase[n2, k2]: 40

stands for one plain rule for every choice of values. Variables of the left side are given; the free ones
(k2, n2) are drawn in proportion to the weights of their values, times the total weight, under that choice,
of each word category of the rule (here: how much the transitive verbs take k as subject and k2 as object).
So a verb of weight w and an object of kind k2 come together in proportion to w * share(k) * share(k2), where
a word's shares of one feature add up to 1. An alternative is drawn by its weight over the sum of the weights
of the alternatives that fit.

With p(r) the probability of plain rule r, n_j(r) how often nonterminal j stands on its right side, w(r) its
words:

    A_ij = sum_r p(r) n_j(r)          r over the rules of nonterminal i; finite sentences need spectral radius(A) < 1
    H = A H - sum_r p(r) log p(r)     entropy of what each nonterminal derives, in nats (Grenander 1967)
    L = A L + sum_r p(r) w(r)         mean length likewise (Booth & Thompson 1973)
    lowest perplexity = exp(H_start / (L_start + 1))          a sentence's </s> is one token more

H is the entropy of derivations, and that of sentences only where every sentence has one derivation;
elsewhere it is an upper bound. `slr_conflict` shows which, by building the SLR(1) automaton of the plain
grammar (DeRemer 1971): without a conflict a shift-reduce parser never has a choice, so the grammar is
unambiguous (Knuth 1965). ``english.yaml`` passes because it is made so: every word belongs to one category;
a verb's category says what follows the verb; a noun has at most one modifier; what may be left out begins
with a word that cannot come next without it; clauses are joined at the top only, after a comma.
"""

from rnnlm.corpora.grammar.ambiguity import slr_conflict
from rnnlm.corpora.grammar.description import Description, describe
from rnnlm.corpora.grammar.plain import Grammar, Rule
from rnnlm.corpora.grammar.reading import built_in
from rnnlm.corpora.grammar.texts import Written, find, load, write

__all__ = [
    "Description",
    "Grammar",
    "Rule",
    "Written",
    "built_in",
    "describe",
    "find",
    "load",
    "slr_conflict",
    "write",
]
