"""Ambiguous grammars are noticed, and others pass."""

from __future__ import annotations

from derivations import ends

from rnnlm.corpora.grammar import describe, slr_conflict


def test_an_ambiguous_grammar_is_noticed(read) -> None:
    """ "the dog sees the cat in the park": in the park belongs to either."""
    g = read(
        """
start: S
rules:
  S:
    N Verb: 1
  Verb:
    sees N: 1
    sees N in N: 1
  N:
    Thing: 3
    Thing in N: 1
words:
  Thing:
    - {words: dog cat park}
"""
    )
    assert slr_conflict(g) is not None
    assert not describe(g).unambiguous
    assert ends(g, ["dog", "sees", "cat", "in", "park"])[0] == 2


def test_a_word_of_two_categories_is_noticed(read) -> None:
    text = "start: S\nrules:\n  S:\n    A: 1\n    B: 1\nwords:\n  A:\n    - {words: x y}\n  B:\n    - {words: z %s}\n"
    assert slr_conflict(read(text % "x")) == "S makes x in two ways (line 5)"
    assert slr_conflict(read(text % "w")) is None


def test_a_shift_that_could_be_a_reduction_is_noticed(read) -> None:
    g = read("start: S\nrules:\n  S:\n    S S: 1\n    A: 4\nwords:\n  A:\n    - {words: x}\n")
    assert slr_conflict(g) is not None


def test_a_rule_that_changes_nothing_is_noticed(read) -> None:
    g = read("start: S\nrules:\n  S:\n    S: 1\n    A: 4\nwords:\n  A:\n    - {words: x}\n")
    assert slr_conflict(g) == "before </s>, what was read may be the whole sentence or S"
