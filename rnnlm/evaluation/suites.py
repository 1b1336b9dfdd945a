"""Test suites of SyntaxGym: of how many items the predictions about the surprisal of regions are true.

Each condition is a sentence that is scored by itself. Surprisal is in bits and summed over a region's words; the line
end belongs to the last region with a word, as in syntaxgym-core (Gauthier et al. 2020). The accuracy on a suite is
the share of items of which all its predictions are true (Hu et al. 2020).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import NamedTuple

from rnnlm.evaluation import columns
from rnnlm.evaluation.formulas import Reference
from rnnlm.evaluation.pairs import interval
from rnnlm.evaluation.records import PredictionResult, RegionSurprisal, SuiteAccuracy
from rnnlm.evaluation.regions import TOGETHER, ScoredSentence, Sentence, score_sentences, summed
from rnnlm.evaluation.suite_files import Suite
from rnnlm.evaluation.words import WordScore
from rnnlm.network.network import Network
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress, Task


class Results(NamedTuple):
    """Results of some suites, in their order."""

    regions: list[RegionSurprisal]
    predictions: list[PredictionResult]


def score_suites(
    network: Network, vocabulary: Vocabulary, suites: Sequence[Suite], line_end: bool = True
) -> Task[Results]:
    """Score every sentence of some suites, and evaluate the predictions. Yields Progress, returns Results.

    Args:
        line_end: whether line ends are scored.

    Raises:
        NotFiniteError: a score is not finite.
    """
    results, done = Results([], []), 0
    total = sum(len(item.conditions) for suite in suites for item in suite.items)
    for suite in suites:
        regions: list[RegionSurprisal] = []
        conditions = [(item.number, condition) for item in suite.items for condition in item.conditions]
        for first in range(0, len(conditions), TOGETHER):
            some = conditions[first : first + TOGETHER]
            sentences = [Sentence(number, list(condition.regions.values())) for number, condition in some]
            scores = score_sentences(network, vocabulary, sentences, suite.source, line_end)
            for (number, condition), scored in zip(some, scores, strict=True):
                parts = zip(condition.regions.items(), _with_line_end(scored), strict=True)
                for (region, text), words in parts:
                    found = summed(words)
                    row = (suite.name, number, condition.name, region, text, found.words, found.unknown)
                    regions.append(RegionSurprisal(*row, found.surprisal))
            done += len(some)
            yield Progress("scoring", done, total, "sentences")
        results.regions.extend(regions)
        results.predictions.extend(_results(suite, regions))
    return results


def _with_line_end(scored: ScoredSentence) -> list[list[WordScore]]:
    """The words of each region, with the line end in the last one that has a word."""
    last = max(i for i, words in enumerate(scored.regions) if words)
    return [words + scored.line_end * (i == last) for i, words in enumerate(scored.regions)]


def _results(suite: Suite, regions: Sequence[RegionSurprisal]) -> Iterator[PredictionResult]:
    """Every prediction of each item."""
    for number, rows in itertools.groupby(regions, key=lambda row: row.item):
        surprisal: dict[Reference, float] = {}
        unknown: dict[Reference, bool] = {}
        own = list(rows)
        for condition in {row.condition for row in own}:
            of_it = [row for row in own if row.condition == condition]
            for region, some in [(None, of_it), *((row.region, [row]) for row in of_it)]:
                reference = Reference(region, condition)
                surprisal[reference] = math.fsum(row.surprisal_bits for row in some)
                unknown[reference] = any(row.unknown for row in some)
        for i, formula in enumerate(suite.predictions, 1):
            doubtful = any(unknown[reference] for reference in formula.references)
            yield PredictionResult(suite.name, number, i, formula.text, formula.holds(surprisal), doubtful)


def accuracies(suites: Sequence[Suite], results: Results) -> list[SuiteAccuracy]:
    """By suite: of each prediction, where it has several, and then of all at once."""
    made: list[SuiteAccuracy] = []
    rest = iter(results.predictions)
    for suite in suites:
        count = len(suite.predictions)
        items = [list(itertools.islice(rest, count)) for _ in suite.items]
        if count > 1:
            for i, formula in enumerate(suite.predictions):
                made.append(_accuracy(suite.name, i + 1, formula.text, [[item[i]] for item in items]))
        made.append(_accuracy(suite.name, None, None, items))
    return made


def _accuracy(
    suite: str, prediction: int | None, formula: str | None, items: Sequence[Sequence[PredictionResult]]
) -> SuiteAccuracy:
    correct = sum(all(result.correct for result in item) for item in items)
    unknown = sum(any(result.unknown for result in item) for item in items)
    low, high = interval(correct, len(items))
    share = correct / len(items)
    return SuiteAccuracy(suite, prediction, formula, len(items), correct, share, low, high, unknown)


def mean_accuracy(found: Sequence[SuiteAccuracy]) -> float:
    """The mean over suites of the accuracy of all their predictions, each suite counting once (Hu et al. 2020)."""
    whole = [row.accuracy for row in found if row.prediction is None]
    return math.fsum(whole) / len(whole)


def table(rows: Sequence[PredictionResult] | Sequence[RegionSurprisal]) -> Iterator[str]:
    """Records, at least one, as lines of a table (TSV), a header first; texts as in ``evaluation.columns``."""
    return columns.table(rows, [field.name for field in fields(rows[0])])
