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

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import NotFiniteError, TextError
from rnnlm.evaluation import columns
from rnnlm.evaluation.pair_files import Pair
from rnnlm.evaluation.prefixes import score_prefixes
from rnnlm.evaluation.records import Accuracy, PairScore
from rnnlm.network.network import Network
from rnnlm.text import tokenizers
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress, Task

# Pairs that are scored at a time.
_TOGETHER = 2048
# The normal distribution's quantile of 97.5%.
_Z = 1.959963984540054


def score_pairs(network: Network, vocabulary: Vocabulary, pairs: Sequence[Pair]) -> Task[list[PairScore]]:
    """Both sentences of each pair. Yields Progress, returns a record a pair.

    What sentences begin with alike is read once.

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
    end = tokenizers.line_end(vocabulary.unit)
    texts: list[NDArray[np.int32]] = []
    unknown: list[bool] = []
    for pair in pairs:
        source, _, line = pair.where.rpartition(":")
        good, bad = ([*vocabulary.split(s, source, int(line)), end] for s in pair[:2])
        if good == bad:
            raise TextError(f"{pair.where}: both sentences are the same in lower case")
        before = _alike(good, bad)
        behind = _alike(good[before:][::-1], bad[before:][::-1])
        both = [vocabulary.encode(tokens) for tokens in (good, bad)]
        unknown.append(any((ids[before : len(ids) - behind] == len(vocabulary)).any() for ids in both))
        texts += both
    found = score_prefixes(network, vocabulary, texts).log_probability.reshape(-1, 2)
    for pair, own, (good_p, bad_p) in zip(pairs, unknown, found.tolist(), strict=True):
        if not math.isfinite(good_p + bad_p):
            raise NotFiniteError(f"{pair.where}: a log-probability is not finite: the weights are far too large")
        yield PairScore(pair.phenomenon, pair.good, pair.bad, good_p, bad_p, own)


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
