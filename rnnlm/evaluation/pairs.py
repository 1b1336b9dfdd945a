"""Minimal pairs: how often the better sentence is the more probable one.

Accuracy is the share of pairs with log p(good) > log p(bad), whole sentences, their ends included (Marvin & Linzen
2018; Warstadt et al. 2020). Its 95% interval is Wilson's (1927), which is right for shares near 0 and 1 too. Pairs
that differ in a word out of the vocabulary are counted apart: <unk> stands for many words.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np

from rnnlm.errors import NotFiniteError, TextError
from rnnlm.evaluation import columns
from rnnlm.evaluation.pair_files import Pair
from rnnlm.evaluation.records import Accuracy, PairScore
from rnnlm.network.network import Network
from rnnlm.network.scored import in_order
from rnnlm.network.scoring import score
from rnnlm.text import corpus, tokenizers
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress, Task

# Pairs that are scored at a time.
_TOGETHER = 2048
# The normal distribution's quantile of 97.5%.
_Z = 1.959963984540054


def score_pairs(network: Network, vocabulary: Vocabulary, pairs: Sequence[Pair]) -> Task[list[PairScore]]:
    """Both sentences of each pair. Yields Progress, returns a record a pair.

    What two sentences begin with alike is scored once.

    Raises:
        TextError: a literal ``</s>``; two sentences that are the same to the model.
        NotFiniteError: a score is not finite.
    """
    made: list[PairScore] = []
    for first in range(0, len(pairs), _TOGETHER):
        made += _score(network, vocabulary, pairs[first : first + _TOGETHER])
        yield Progress("scoring", len(made), len(pairs), "pairs")
    return made


def _score(network: Network, vocabulary: Vocabulary, pairs: Sequence[Pair]) -> Iterator[PairScore]:
    unit, lowercase, end = vocabulary.unit, vocabulary.lowercase, tokenizers.line_end(vocabulary.unit)
    together: list[str] = []
    places: list[_Places] = []
    for pair in pairs:
        source, _, line = pair.where.rpartition(":")
        good, bad = ([*tokenizers.split(s, unit, lowercase, source, int(line)), end] for s in pair[:2])
        if good == bad:
            raise TextError(f"{pair.where}: both sentences are the same in lower case")
        before = _alike(good, bad)
        behind = _alike(good[before:][::-1], bad[before:][::-1])
        begin, middle = len(together), len(together) + len(good)
        places.append(_Places(begin, middle, middle + len(bad), before, behind))
        together += [*good, *bad]
    read = corpus.from_tokens(together if unit == "word" else "".join(together), 0, vocabulary, "pairs")
    skipped = np.zeros(len(read), np.bool_)
    for at in places:
        skipped[at.middle : at.middle + at.before] = True
    found = in_order(score(network, read, "reset", skipped=skipped))
    for pair, at in zip(pairs, places, strict=True):
        shared, own, other = (float(found.log_probability[part].sum()) for part in at.parts())
        if not math.isfinite(shared + own + other):
            raise NotFiniteError(f"{pair.where}: a log-probability is not finite: the weights are far too large")
        unknown = any(found.unknown[part].any() for part in at.different())
        yield PairScore(pair.phenomenon, pair.good, pair.bad, shared + own, shared + other, unknown)


class _Places(NamedTuple):
    """Where a pair's tokens are: from begin the good sentence, from middle to before stop the bad one. They begin
    with `before` tokens that are the same, and end with `behind`."""

    begin: int
    middle: int
    stop: int
    before: int
    behind: int

    def parts(self) -> tuple[slice, slice, slice]:
        """What both begin with, and the rest of each."""
        own, other = self.begin + self.before, self.middle + self.before
        return slice(self.begin, own), slice(own, self.middle), slice(other, self.stop)

    def different(self) -> tuple[slice, slice]:
        """What differs, of each."""
        _, own, other = self.parts()
        return slice(own.start, self.middle - self.behind), slice(other.start, self.stop - self.behind)


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many tokens they begin with that are the same."""
    return sum(1 for _ in itertools.takewhile(lambda two: two[0] == two[1], zip(one, other, strict=False)))


def accuracies(scores: Sequence[PairScore]) -> list[Accuracy]:
    """By phenomenon, in the order in which they come; the last one, of all pairs, has no name."""
    by_name: dict[str | None, list[PairScore]] = {}
    for pair in scores:
        by_name.setdefault(pair.phenomenon, []).append(pair)
    by_name[None] = list(scores)
    return [_accuracy(name, some) for name, some in by_name.items()]


def _accuracy(name: str | None, scores: Sequence[PairScore]) -> Accuracy:
    known = [pair.correct for pair in scores if not pair.unknown]
    unknown = [pair.correct for pair in scores if pair.unknown]
    right, count = sum(known), len(known)
    low, high = interval(right, count) if known else (None, None)
    return Accuracy(name, count, right, right / count if known else None, low, high, len(unknown), sum(unknown))


def interval(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share."""
    share, z2 = successes / trials, _Z * _Z / trials
    middle = (share + z2 / 2) / (1 + z2)
    half = _Z / (1 + z2) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def table(scores: Sequence[PairScore]) -> Iterator[str]:
    """The pairs as lines of a table (TSV), a header first; texts as in ``evaluation.columns``."""
    return columns.table(scores, [*(field.name for field in fields(PairScore)), "correct"])
