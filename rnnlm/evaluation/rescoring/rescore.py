"""Rescoring of n-best lists: the total score and the rank of every hypothesis.

The weights are given, or found by word errors on references (``rescoring.tuning``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.corpora import prepare
from rnnlm.errors import InputError, NotFiniteError
from rnnlm.evaluation.prefixes import Found, score_prefixes
from rnnlm.evaluation.rescoring import tuning, word_errors
from rnnlm.evaluation.rescoring.lists import Lists, as_array, lists
from rnnlm.evaluation.rescoring.nbest_files import Hypothesis
from rnnlm.evaluation.rescoring.records import Recognition, RescoredHypothesis, Rescoring, Weights
from rnnlm.network.network import Network
from rnnlm.ranks.ranks import Ranks
from rnnlm.ranks.sharing import Workers
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
    references: Mapping[str, str] | None = None, ranks: Ranks | None = None,
) -> Task[Result]:  # fmt: skip
    """Score every hypothesis and rank those of each utterance. Yields Progress.

    Each hypothesis begins as a text does; its score does not depend on the others.

    Args:
        given: with a weight nothing is tuned; without, those weights that are None are tuned on the references.
        references: of each utterance. ranks: share the hypotheses out; None: this process alone.

    Raises:
        InputError: see `starting_weights`; jiwer, which references need, is not installed.
        TextError: a literal ``</s>``. NotFiniteError: a log-probability or a total is not finite.
    """
    weights, tuned = starting_weights(given, hypotheses[0].old_score is not None, references is not None)
    counts = None
    if references is not None:
        counts = word_errors.count([references[one.utterance] for one in hypotheses], [h.text for h in hypotheses])
        unused = len(references.keys() - {one.utterance for one in hypotheses})
        if unused:
            yield Note(f"references without a hypothesis: {unused:,}; their words are not counted", warning=True)
    found, tokens = yield from _score(network, vocabulary, hypotheses, ranks)
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
        weights = Weights(*tuning.tune(made, counts[:, :3].sum(axis=1), as_array(weights), free).tolist())
    totals = made.totals(as_array(weights))
    first, best = made.first_highest(np.zeros(len(totals))), made.first_highest(totals)
    return Result(
        _ranked(hypotheses, made, found, words, totals),
        Rescoring(
            len(first), len(hypotheses), _changed(hypotheses, first, best), tokens, found.rows,
            int(found.unknown.sum()), weights, tuned, hypotheses[0].old_score is not None,
            None if counts is None else _recognition(made, counts, first, best),
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


def _score(
    network: Network, vocabulary: Vocabulary, hypotheses: Sequence[Hypothesis], ranks: Ranks | None
) -> Task[tuple[Found, int]]:
    """log p of every hypothesis, and the number of their tokens."""
    end = tokenizers.line_end(vocabulary.unit)
    together: list[str] = []
    stops = []
    for one in hypotheses:
        source, _, line = one.where.rpartition(":")
        together += vocabulary.split(one.text, source, int(line))
        together.append(end)
        stops.append(len(together))
    source = hypotheses[0].where.rpartition(":")[0]
    tokens = together if tokenizers.ends_lines(vocabulary.unit) else "".join(together)
    read = corpus.from_tokens(tokens, 0, vocabulary, source)
    yield from prepare.check_coverage(read)
    texts = np.split(read.stored, stops[:-1])
    parts: list[Found] = []
    workers = Workers(partial(score_prefixes, network, vocabulary), ranks)
    batches = [texts[first : first + _TOGETHER] for first in range(0, len(texts), _TOGETHER)]
    first = 0
    for some, scored in zip(batches, workers.results(batches), strict=True):
        parts.append(scored)
        wrong = np.flatnonzero(~np.isfinite(parts[-1].log_probability))
        if len(wrong):
            where = hypotheses[first + int(wrong[0])].where
            raise NotFiniteError(f"{where}: a log-probability is not finite: the weights are far too large")
        first += len(some)
        yield Progress("scoring", first, len(texts), "hypotheses")
    log_probability, unknown, rows = zip(*parts, strict=True)
    return Found(np.concatenate(log_probability), np.concatenate(unknown), sum(rows)), len(read)


def _ranked(
    hypotheses: Sequence[Hypothesis], made: Lists, found: Found, words: Sequence[int], totals: NDArray[np.float64]
) -> list[RescoredHypothesis]:
    columns = (made.places(), found.log_probability, found.unknown, totals, made.ranks(totals))
    return [
        RescoredHypothesis(one.utterance, place, one.text, one.score, one.old_score, log_p, N, unknown, total, rank)
        for one, N, place, log_p, unknown, total, rank in zip(
            hypotheses, words, *(column.tolist() for column in columns), strict=True
        )
    ]


def _changed(hypotheses: Sequence[Hypothesis], first: NDArray[np.int64], best: NDArray[np.int64]) -> int:
    return sum(
        hypotheses[i].text.split() != hypotheses[j].text.split()
        for i, j in zip(first.tolist(), best.tolist(), strict=True)
    )


def _recognition(
    made: Lists, counts: NDArray[np.int64], first: NDArray[np.int64], best: NDArray[np.int64]
) -> Recognition:
    fewest = made.first_highest(-counts[:, :3].sum(axis=1))
    return Recognition(*(word_errors.summed(counts[chosen]) for chosen in (first, best, fewest)))
