"""Perplexity of a text.

    perplexity = exp(- 1/N sum_t log y^(t)_x(t))        over all N tokens, the first one and every line end included

A token out of the vocabulary is scored as ``<unk>``; the figure without such tokens is given beside the one
with them. Bits per character of the raw text is what models with other vocabularies and units can be compared
by, as long as every token is scored as itself: <unk> and lower case stand for many texts, and cost fewer bits.
Of subwords N is the number of pieces; the perplexity per word has the words between white space and the line ends
instead, as one of a model of words without unknown ones.
"""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import NotFiniteError
from rnnlm.evaluation.exact_sum import ExactSum
from rnnlm.evaluation.records import Evaluation, FileFigures
from rnnlm.evaluation.stretches import score_in_order
from rnnlm.network.network import Network
from rnnlm.network.protocols import Scores
from rnnlm.network.scored import Scored
from rnnlm.network.scoring import score, worse_than_even
from rnnlm.ranks.ranks import Ranks
from rnnlm.text.corpus import Corpus, FileCounts
from rnnlm.work import Progress, Task


def evaluate(
    network: Network, corpus: Corpus, state: str, batch: int = 32, window: int | None = None,
    ranks: Ranks | None = None,
) -> Task[Evaluation]:  # fmt: skip
    """Perplexity of a text. Yields Progress, returns an Evaluation.

    Args:
        state: "carry" or "reset".
        batch, window: streams and steps at a time; they change the speed, not the figure.
        ranks: share the lines out, with streams and steps of their own; None: this process alone.
    """
    totals = Totals(corpus, network.output.self_normalised)
    began = time.perf_counter()
    parts = score(network, corpus, state, batch, window)
    if ranks is not None:
        parts = score_in_order(network, corpus, state, ranks=ranks)
    for part in parts:
        totals.add(part)
        yield Progress("scoring", totals.tokens, len(corpus), "tokens")
    return totals.evaluation(corpus, state, time.perf_counter() - began)


class Totals:
    """Sums over the tokens scored so far, the same in whatever order they come.

    Args:
        corpus: the text; None: without sums of each of its files.
        self_normalised: whether log Z has figures.
    """

    def __init__(self, corpus: Corpus | None = None, self_normalised: bool = False) -> None:
        self._self_normalised = self_normalised
        self._log_normalizer, self._log_normalizer_squares = ExactSum(), ExactSum()
        self.tokens = self.unknown = 0
        self._log_probability, self._in_vocabulary = ExactSum(), ExactSum()
        self.files = [(file, Totals()) for file in (corpus.files if corpus is not None else ())]
        self._ends = np.cumsum([file.counts.tokens for file, _ in self.files])

    def add(self, part: Scored) -> None:
        """Add some tokens."""
        self.tokens += part.log_probability.size
        self.unknown += int(part.unknown.sum())
        self._log_probability.add(part.log_probability)
        self._in_vocabulary.add(part.log_probability[~part.unknown])
        if self._self_normalised:
            self._log_normalizer.add(part.log_normalizer)
            self._log_normalizer_squares.add(part.log_normalizer**2)
        if self.files:
            number = np.searchsorted(self._ends, part.position, side="right")
            for file in np.unique(number).tolist():
                self.files[file][1].add(part[number == file])

    @property
    def nats(self) -> float:
        """The sum of - log y^."""
        return 0.0 - float(self._log_probability)

    @property
    def in_vocabulary_nats(self) -> float:
        """The same without unknown tokens."""
        return 0.0 - float(self._in_vocabulary)

    def file_figures(self, file: FileCounts) -> FileFigures:
        """The figures of one file, whose sums these are."""
        known, bits = self.tokens - self.unknown, self.nats / math.log(2)
        return FileFigures(
            file.name,
            _perplexity(self.nats, self.tokens),
            _perplexity(self.in_vocabulary_nats, known) if known else None,
            self.tokens,
            self.unknown,
            bits / self.tokens,
            bits / max(1, file.counts.characters),
        )

    def evaluation(self, corpus: Corpus, state: str, seconds: float) -> Evaluation:
        """The figures of the whole text, which took `seconds`.

        Raises:
            NotFiniteError: the perplexity is not finite.
        """
        perplexity = _perplexity(self.nats, self.tokens)
        if not math.isfinite(perplexity):
            raise NotFiniteError(
                f"the perplexity is not finite ({self.nats / self.tokens:g} nats a token): the weights are far too "
                "large; train again with a lower train.learning_rate or train.clip_norm"
            )
        in_vocabulary = self.tokens - self.unknown
        bits = self.nats / math.log(2)
        characters = corpus.counts.characters
        vocabulary = corpus.vocabulary
        worse = worse_than_even("perplexity", perplexity, len(vocabulary))
        notes = [] if worse is None else [worse]
        untrained = self.unknown > 0 and vocabulary.unk_untrained
        if untrained:
            notes.append(
                f"{self.unknown:,} tokens are unknown, and <unk> never stood in the training text, "
                "so its probability means nothing: train with vocab.min_count: 2, or compare perplexities without "
                "unknown tokens"
            )
        words = corpus.counts.words if vocabulary.unit == "subword" else None
        line_ends = corpus.counts.line_ends
        mean = float(self._log_normalizer) / self.tokens
        variance = float(self._log_normalizer_squares) / self.tokens - mean**2
        return Evaluation(
            perplexity=perplexity,
            perplexity_without_unk=_perplexity(self.in_vocabulary_nats, in_vocabulary) if in_vocabulary else None,
            tokens=self.tokens,
            unknown=self.unknown,
            line_ends=line_ends,
            characters=characters,
            bits_per_token=bits / self.tokens,
            bits_per_character=bits / max(1, characters),
            comparable=self.unknown == 0 and not vocabulary.lowercase,
            state=state,
            seconds=seconds,
            tokens_per_second=self.tokens / max(1e-9, seconds),
            notes=tuple(notes),
            files=tuple(totals.file_figures(file) for file, totals in self.files),
            log_normalizer_mean=mean if self._self_normalised else None,
            log_normalizer_deviation=math.sqrt(max(0.0, variance)) if self._self_normalised else None,
            words=words,
            word_perplexity=None if words is None else _perplexity(self.nats, max(1, words + line_ends)),
            unk_untrained=untrained,
        )


def evaluation_of(log_probability: NDArray[np.float64], text: Corpus, state: str, seconds: float) -> Evaluation:
    """The evaluation of a text whose tokens have these log-probabilities, in their order."""
    totals, nothing = Totals(text), Scores.zeros(len(text))
    unknown = np.asarray(text.stored == len(text.vocabulary))
    totals.add(Scored(np.arange(len(text)), log_probability, unknown, *nothing[1:]))
    return totals.evaluation(text, state, seconds)


def perplexity_of(scored: Scored) -> float:
    """Perplexity of some tokens."""
    return _perplexity(-float(scored.log_probability.sum()), scored.log_probability.size)


def _perplexity(nats: float, tokens: int) -> float:
    mean = nats / tokens
    return float(np.exp(mean)) if mean < 700 else math.inf
