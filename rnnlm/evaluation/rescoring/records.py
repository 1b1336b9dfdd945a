"""Records of rescoring: hypotheses with their scores, weights, word errors."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Weights:
    """Weights of the total score of a hypothesis of N words w:

        total = score + weight log p(w) + penalty N + old_weight old_score

    score: the recogniser's own (acoustic) score. log p(w): the network's, natural logarithm, the line end included.
    penalty: the word insertion bonus; above 0 it favours hypotheses of many words, below 0 those of few.
    old_score: that of the recogniser's own language model. A higher score is better.
    """

    weight: float = 0.0
    penalty: float = 0.0
    old_weight: float = 0.0


@dataclass(frozen=True)
class RescoredHypothesis:
    """A hypothesis and its scores.

    hypothesis: its number in the utterance's list, from 1. old_score: None where the list has none.
    log_probability: the network's, in nats, the line end included. words: between white space. unknown: tokens scored
    as <unk>. total: see `Weights`. rank: by total in the utterance's list; 1: the best.
    """

    utterance: str
    hypothesis: int
    text: str
    score: float
    old_score: float | None
    log_probability: float
    words: int
    unknown: int
    total: float
    rank: int


@dataclass(frozen=True)
class WordErrors:
    """Word errors of some texts against their references, by the Levenshtein alignment. words: of the references."""

    substitutions: int
    deletions: int
    insertions: int
    words: int

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """The word error rate; None where the references have no word."""
        return self.errors / self.words if self.words else None

    def json(self) -> dict[str, object]:
        return asdict(self) | {"errors": self.errors, "rate": self.rate}


@dataclass(frozen=True)
class Recognition:
    """Word errors of the first hypotheses, of the best ones by their total, and of those with the fewest errors."""

    first: WordErrors
    rescored: WordErrors
    oracle: WordErrors


@dataclass(frozen=True)
class Rescoring:
    """Summary of the rescoring of n-best lists.

    changed: utterances whose best hypothesis is another text than the first of their list. tokens: of all hypotheses;
    scored: how many of them went through the network, what hypotheses begin with alike once. unknown: tokens scored
    as <unk>. tuned: the weights that were found on the references. old_scores: whether the list has them. errors:
    None without references.
    """

    utterances: int
    hypotheses: int
    changed: int
    tokens: int
    scored: int
    unknown: int
    weights: Weights
    tuned: tuple[str, ...]
    old_scores: bool
    errors: Recognition | None

    def json(self) -> dict[str, object]:
        found = asdict(self) | {"weights": asdict(self.weights)}
        if self.errors is not None:
            parts = ("first", "rescored", "oracle")
            found["errors"] = {part: getattr(self.errors, part).json() for part in parts}
        return found
