"""Rescoring of n-best lists: the total score and the rank of every hypothesis.

The weights are given, or found by word errors on references (``rescoring.tuning``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.corpora import prepare
from rnnlm.errors import InputError, NotFiniteError
from rnnlm.evaluation.rescoring import tuning, word_errors
from rnnlm.evaluation.rescoring.lists import Lists, as_array, lists
from rnnlm.evaluation.rescoring.nbest_files import Hypothesis
from rnnlm.evaluation.rescoring.prefixes import Found, score_prefixes
from rnnlm.evaluation.rescoring.records import Recognition, RescoredHypothesis, Rescoring, Weights
from rnnlm.network.network import Network
from rnnlm.text import corpus, tokenizers
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Note, Progress, Task

# Hypotheses whose beginnings are looked for in each other at a time.
_TOGETHER = 2048


class Given(NamedTuple):
    """Weights as they are given; None: to be found, or without references the penalty 0."""

    weight: float | None = None
    penalty: float | None = None
    old_weight: float | None = None


class Result(NamedTuple):
    """The hypotheses in their order, and the summary."""

    hypotheses: list[RescoredHypothesis]
    summary: Rescoring


def rescore(
    network: Network, vocabulary: Vocabulary, hypotheses: Sequence[Hypothesis], given: Given,
    references: Mapping[str, str] | None = None,
) -> Task[Result]:  # fmt: skip
    """Score every hypothesis and rank those of each utterance. Yields Progress.

    Each hypothesis begins as a text does; its score does not depend on the others.

    Args:
        given: with a weight nothing is tuned; without, those weights that are None are tuned on the references.
        references: of each utterance.

    Raises:
        InputError: see `starting_weights`; jiwer, which references need, is not installed.
        TextError: a literal ``</s>``. NotFiniteError: a score is not finite.
    """
    weights, tuned = starting_weights(given, hypotheses[0].old_score is not None, references is not None)
    counts = None
    if references is not None:
        counts = word_errors.count([references[one.utterance] for one in hypotheses], [h.text for h in hypotheses])
        unused = len(references.keys() - {one.utterance for one in hypotheses})
        if unused:
            yield Note(f"references without a hypothesis: {unused:,}; their words are not counted", warning=True)
    found, tokens = yield from _score(network, vocabulary, hypotheses)
    words = [len(one.text.split()) for one in hypotheses]
    old = [one.old_score or 0.0 for one in hypotheses]
    made = lists(
        [one.utterance for one in hypotheses],
        np.array([one.score for one in hypotheses]),
        np.stack([found.log_probability, np.array(words, np.float64), np.array(old)], axis=1),
    )
    if tuned and counts is not None:
        names = [field.name for field in fields(Weights)]
        free = [names.index(name) for name in tuned]
        errors = made.of_each(counts[:, :3].sum(axis=1))
        weights = Weights(*tuning.tune(made, errors, as_array(weights), free).tolist())
    return Result(
        _ranked(hypotheses, made, found, words, weights),
        Rescoring(
            len(made.index), len(hypotheses), _changed(hypotheses, made, weights), tokens, found.rows,
            int(found.unknown.sum()), weights, tuned, None if counts is None else _recognition(made, counts, weights),
        ),
    )  # fmt: skip


def starting_weights(given: Given, has_old: bool, has_references: bool) -> tuple[Weights, tuple[str, ...]]:
    """The weights, 0 where they are to be found, and the names of these.

    Raises:
        InputError: weights that are no numbers; too few weights, or one for a score that is not there.
    """
    for name, value in zip(("--weight", "--penalty", "--old-weight"), given, strict=True):
        if value is not None and not math.isfinite(value):
            raise InputError(f"{name}: found {value}; must be a number")
    if given.weight is not None and given.weight < 0:
        raise InputError(f"--weight: found {given.weight:g}; must be 0 or above")
    if given.old_weight is not None and not has_old:
        raise InputError("--old-weight goes with --old-score or --old-costs, which say where the old scores are")
    weights = Weights(given.weight or 0.0, given.penalty or 0.0, given.old_weight or 0.0)
    if given.weight is not None:
        if has_old and given.old_weight is None:
            raise InputError("--weight is given and --old-weight is not; give both, or let --references find both")
        return weights, ()
    if not has_references:
        raise InputError("give --weight, how much log p counts, or --references, on which it is found")
    there = {"weight": True, "penalty": given.penalty is None, "old_weight": has_old and given.old_weight is None}
    return weights, tuple(name for name, is_free in there.items() if is_free)


def _score(network: Network, vocabulary: Vocabulary, hypotheses: Sequence[Hypothesis]) -> Task[tuple[Found, int]]:
    """log p of every hypothesis, and the number of their tokens."""
    unit, end = vocabulary.unit, tokenizers.line_end(vocabulary.unit)
    together: list[str] = []
    stops = []
    for one in hypotheses:
        source, _, line = one.where.rpartition(":")
        together += tokenizers.split(one.text, unit, vocabulary.lowercase, source, int(line))
        together.append(end)
        stops.append(len(together))
    source = hypotheses[0].where.rpartition(":")[0]
    read = corpus.from_tokens(together if unit == "word" else "".join(together), 0, vocabulary, source)
    yield from prepare.check_coverage(read)
    texts = np.split(read.stored, stops[:-1])
    parts: list[Found] = []
    for first in range(0, len(texts), _TOGETHER):
        some = texts[first : first + _TOGETHER]
        parts.append(score_prefixes(network, vocabulary, some))
        wrong = np.flatnonzero(~np.isfinite(parts[-1].log_probability))
        if len(wrong):
            where = hypotheses[first + int(wrong[0])].where
            raise NotFiniteError(f"{where}: a log-probability is not finite: the weights are far too large")
        yield Progress("scoring", first + len(some), len(texts), "hypotheses")
    log_probability, unknown, rows = zip(*parts, strict=True)
    return Found(np.concatenate(log_probability), np.concatenate(unknown), sum(rows)), len(read)


def _ranked(
    hypotheses: Sequence[Hypothesis], made: Lists, found: Found, words: Sequence[int], weights: Weights
) -> list[RescoredHypothesis]:
    totals = made.totals(as_array(weights))
    # Of equal totals the first is the better one; what is behind the list's end comes last.
    ranks = np.argsort(np.argsort(-totals, axis=1, kind="stable"), axis=1) + 1
    rows: list[RescoredHypothesis | None] = [None] * len(hypotheses)
    for utterance, place in np.argwhere(made.valid).tolist():
        i = int(made.index[utterance, place])
        one = hypotheses[i]
        rows[i] = RescoredHypothesis(
            one.utterance, place + 1, one.text, one.score, one.old_score, float(found.log_probability[i]), words[i],
            int(found.unknown[i]), float(totals[utterance, place]), int(ranks[utterance, place]),
        )  # fmt: skip
    return [row for row in rows if row is not None]


def _changed(hypotheses: Sequence[Hypothesis], made: Lists, weights: Weights) -> int:
    chosen = _chosen(made, made.best(as_array(weights)))
    return sum(
        hypotheses[best].text.split() != hypotheses[first].text.split()
        for best, first in zip(chosen.tolist(), made.index[:, 0].tolist(), strict=True)
    )


def _chosen(made: Lists, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The hypotheses at these places of their lists."""
    return np.take_along_axis(made.index, places[:, None], axis=1)[:, 0]


def _recognition(made: Lists, counts: NDArray[np.int64], weights: Weights) -> Recognition:
    errors = np.where(made.valid, made.of_each(counts[:, :3].sum(axis=1)), np.iinfo(np.int64).max)
    first, best = np.zeros(len(errors), np.int64), made.best(as_array(weights))
    return Recognition(*(word_errors.summed(counts[_chosen(made, p)]) for p in (first, best, errors.argmin(axis=1))))
