"""N-best lists as arrays: N hypotheses of U utterances, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import NotFiniteError
from rnnlm.evaluation.rescoring.records import Weights

_LARGEST = 1e300


@dataclass(frozen=True)
class Lists:
    """The scores of n-best lists.

    utterance: N, the number of each hypothesis's utterance, 0 to U - 1; the hypotheses of one utterance stand in the
    order of its list.
    score: N, the recogniser's own.
    features: N x 3, what `Weights` weigh: log p, words, old score.
    """

    utterance: NDArray[np.int64]
    score: NDArray[np.float64]
    features: NDArray[np.float64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """U, the hypotheses of each utterance."""
        return np.bincount(self.utterance)

    def totals(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """N, the total score of each hypothesis.

        Raises:
            NotFiniteError: one is not finite, or so large that the difference of two is not.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            totals: NDArray[np.float64] = self.score + self.features @ weights
        if not (np.abs(totals) < _LARGEST).all():
            raise NotFiniteError(
                "the total of a hypothesis is not finite: its scores or the weights (--weight, --penalty, "
                "--old-weight) are far too large"
            )
        return totals

    def first_highest(self, values: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.int64]:
        """U, of each utterance the hypothesis with the highest of N values, of equal ones the first."""
        return first_highest(values, self.utterance)

    def best(self, weights: NDArray[np.float64]) -> NDArray[np.int64]:
        """U, of each utterance the hypothesis with the highest total, of equal ones the first."""
        return self.first_highest(self.totals(weights))

    def places(self) -> NDArray[np.int64]:
        """N, the place of each hypothesis in its list, from 1."""
        return self._numbered(np.argsort(self.utterance, kind="stable"))

    def ranks(self, totals: NDArray[np.float64]) -> NDArray[np.int64]:
        """N, the rank of each hypothesis in its list by its total, from 1; of equal ones the first is the better."""
        return self._numbered(np.lexsort((-totals, self.utterance)))

    def _numbered(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """N, the number of each hypothesis in its utterance, from 1, where they stand in `order`, by utterance."""
        sizes, numbers = self.sizes, np.empty(len(order), np.int64)
        numbers[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + 1
        return numbers


def lists(utterances: Sequence[str], score: NDArray[np.float64], features: NDArray[np.float64]) -> Lists:
    """The lists of some hypotheses; utterances are numbered in the order in which they come first.

    Args:
        utterances: of each of the N hypotheses. score: N. features: N x 3.
    """
    numbers: dict[str, int] = {}
    return Lists(np.array([numbers.setdefault(name, len(numbers)) for name in utterances]), score, features)


def first_highest(
    values: NDArray[np.float64] | NDArray[np.int64], utterance: NDArray[np.int64], count: int | None = None
) -> NDArray[np.int64]:
    """Of each utterance the place of the highest of its values, of equal ones the first; -1 without a value.

    Args:
        values: numbers, none of them NaN, each of the utterance that stands at its place. count: of utterances; None:
            those up to the highest one.
    """
    count = int(utterance.max()) + 1 if count is None else count
    highest = np.full(count, -np.inf)
    np.maximum.at(highest, utterance, values)
    # Where an index comes several times, the last assignment stays: that of the first place.
    places = np.flatnonzero(values == highest[utterance])[::-1]
    found = np.full(count, -1)
    found[utterance[places]] = places
    return found


def as_array(weights: Weights) -> NDArray[np.float64]:
    """The weights in the order of `Lists.features`."""
    return np.array([weights.weight, weights.penalty, weights.old_weight])
