"""N-best lists as arrays: U utterances of at most n hypotheses each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnlm.evaluation.rescoring.records import Weights


@dataclass(frozen=True)
class Lists:
    """The scores of n-best lists.

    index: U x n, the hypotheses of each utterance in their order; -1 behind the last one.
    score: U x n, the recogniser's own; -inf behind the last one.
    features: U x n x 3, what `Weights` weigh: log p, words, old score.
    """

    index: NDArray[np.int64]
    score: NDArray[np.float64]
    features: NDArray[np.float64]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """U x n, false behind the last hypothesis of an utterance."""
        return self.index >= 0

    def of_each(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of the hypotheses as U x n; 0 behind the last one."""
        return np.where(self.valid, values[self.index], 0)

    def totals(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The total score of each hypothesis, U x n; -inf behind the last one."""
        return self.score + self.features @ weights

    def best(self, weights: NDArray[np.float64]) -> NDArray[np.int64]:
        """Of each utterance the place of the highest total; of equal ones the first."""
        return self.totals(weights).argmax(axis=1)


def lists(utterances: Sequence[str], score: NDArray[np.float64], features: NDArray[np.float64]) -> Lists:
    """The lists of some hypotheses; utterances stand in the order in which they come first.

    Args:
        utterances: of each of the N hypotheses. score: N. features: N x 3.
    """
    members: dict[str, list[int]] = {}
    for i, utterance in enumerate(utterances):
        members.setdefault(utterance, []).append(i)
    index = np.full((len(members), max(map(len, members.values()))), -1, np.int64)
    for row, own in zip(index, members.values(), strict=True):
        row[: len(own)] = own
    valid = index >= 0
    return Lists(index, np.where(valid, score[index], -np.inf), np.where(valid[:, :, None], features[index], 0.0))


def as_array(weights: Weights) -> NDArray[np.float64]:
    """The weights in the order of `Lists.features`."""
    return np.array([weights.weight, weights.penalty, weights.old_weight])
