"""Scores of the regions of sentences: the surprisal of a region is the sum over its words.

A sentence is scored by itself, its regions with single spaces between them, and its words as ``evaluation.words`` has
them: of characters and bytes the white space behind a word belongs to it, and the line end to the last one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rnnlm.evaluation.lines import score_lines
from rnnlm.evaluation.words import WordScore, words_of
from rnnlm.network.network import Network
from rnnlm.text.lines import Line
from rnnlm.text.vocabulary import Vocabulary

# Sentences that are scored at a time.
TOGETHER = 2048


class Sentence(NamedTuple):
    """A sentence as the texts of its regions, which may be empty. number: its line in the source, for messages."""

    number: int
    regions: Sequence[str]


@dataclass(frozen=True)
class RegionScore:
    """Score of a region. words, tokens: how many. unknown: words any token of which was scored as <unk>.
    log_probability: of all its tokens, in nats."""

    words: int
    tokens: int
    unknown: int
    log_probability: float

    @property
    def surprisal(self) -> float:
        """In bits."""
        return 0.0 - self.log_probability / math.log(2)  # of no words 0.0, not -0.0


class ScoredSentence(NamedTuple):
    """The words of each region, and the line end of a model of words: one row, or none where it is left out."""

    regions: list[list[WordScore]]
    line_end: list[WordScore]


def score_sentences(
    network: Network, vocabulary: Vocabulary, sentences: Sequence[Sentence], source: str, line_end: bool = True,
    details: bool = False,
) -> Iterator[ScoredSentence]:  # fmt: skip
    """Score sentences side by side.

    Args:
        source: where they are from, for messages.
        line_end: whether line ends are scored. details: with what needs the whole distribution.

    Raises:
        TextError: a literal ``</s>``.
        NotFiniteError: a score is not finite.
    """
    lines = [Line(sentence.number, " ".join(filter(None, sentence.regions)), True) for sentence in sentences]
    for found in score_lines(network, vocabulary, [lines], source, line_end=line_end, details=details):
        for sentence, words in zip(sentences, words_of(found, vocabulary, details), strict=True):
            rest = iter(words)
            regions = [list(itertools.islice(rest, len(text.split()))) for text in sentence.regions]
            yield ScoredSentence(regions, list(rest))


def summed(words: Sequence[WordScore]) -> RegionScore:
    """The score of a region from those of its words; a line end among them counts as a token and as no word."""
    own = [word for word in words if word.end > word.start]
    nats = math.fsum(word.log_probability for word in words)
    return RegionScore(len(own), sum(word.tokens for word in words), sum(word.is_unk for word in own), nats)
