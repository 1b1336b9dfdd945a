"""Scores of lines, each by itself: it begins as a text does, and does not depend on where it stands.

log p of a line is the sum of log y^ of its tokens, the line end among them unless it is left out. It is what ``rnnlm
eval --state reset`` adds up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import NotFiniteError, TextError
from rnnlm.network.network import Network
from rnnlm.network.scored import Scored, in_order
from rnnlm.network.scoring import score
from rnnlm.text import corpus, tokenizers
from rnnlm.text.lines import Line, characters_of
from rnnlm.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class LineScore:
    """Score of one line.

    line: counted from 1. id: its first word, where lines have ids. log_probability: natural logarithm. tokens,
    unknown: how many were scored, and how many of these as <unk>. characters: code points that they stand for.
    """

    line: int
    id: str | None
    text: str
    log_probability: float
    tokens: int
    unknown: int
    characters: int

    @property
    def log10_probability(self) -> float:
        return self.log_probability / math.log(10)

    @property
    def bits_per_character(self) -> float | None:
        """None where no character was scored."""
        return -self.log_probability / math.log(2) / self.characters if self.characters else None


@dataclass(frozen=True)
class ScoredLines:
    """Some lines and the scores of their tokens.

    lines: without their ids. scores: of all tokens in their order, those of line i from starts[i] to before stops[i].
    ends: whether the last of them is the line end.
    """

    lines: list[Line]
    ids: list[str | None]
    scores: Scored
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    ends: NDArray[np.bool_]

    def summed(self) -> Iterator[LineScore]:
        """The score of each line."""
        nats, unknown = (self._sums(values) for values in (self.scores.log_probability, self.scores.unknown))
        columns = (nats, unknown, self.stops - self.starts, self.ends)
        rows = zip(self.lines, self.ids, *(column.tolist() for column in columns), strict=True)
        for line, id, total, unknown_tokens, tokens, ends in rows:
            # The line end that a last line of words is given is no character of the text.
            characters = characters_of(line.text) + (ends and line.ended)
            yield LineScore(line.number, id, line.text, total, tokens, unknown_tokens, characters)

    def tokens_of(self, i: int) -> Scored:
        """The scores of one line's tokens."""
        return self.scores[self.starts[i] : self.stops[i]]

    def _sums(self, values: NDArray[Any]) -> NDArray[Any]:
        """The sum of each line's."""
        bounds = np.stack([self.starts, self.stops], axis=1).reshape(-1)
        # Between two lines stands at most the line end that is left out; of no numbers NumPy gives the first one.
        kind = np.result_type(values, np.int64)
        sums = np.add.reduceat(np.append(values, values.dtype.type(0)), bounds, dtype=kind)
        return np.where(self.starts < self.stops, sums[::2], 0)


def score_lines(
    network: Network,
    vocabulary: Vocabulary,
    blocks: Iterable[Sequence[Line]],
    source: str,
    ids: bool = False,
    line_end: bool = True,
    details: bool = False,
) -> Iterator[ScoredLines]:
    """Score lines, those of a block side by side.

    The last line of a text of words or subwords has an end even if the file has none, as everywhere.

    Args:
        source: the text's name, for messages.
        ids: whether each line begins with an id, which is not scored.
        line_end: whether line ends are scored. details: with rank and entropy.

    Raises:
        TextError: there is no line; a line has no id; a literal ``</s>``.
        NotFiniteError: a score is not finite.
    """
    some = False
    for block in blocks:
        some = True
        found = _score_block(network, vocabulary, block, source, ids, line_end, details)
        if not np.isfinite(found.scores.log_probability).all():
            raise NotFiniteError(
                f"{source}: a token's log-probability is not finite: the weights are far too large; train again with "
                "a lower train.learning_rate or train.clip_norm"
            )
        yield found
    if not some:
        raise no_lines(source)


def no_lines(source: str) -> TextError:
    """What is said of a text without lines. source: its name."""
    return TextError(f"{source}: empty; give a text with at least one line")


def _score_block(
    network: Network, vocabulary: Vocabulary, block: Sequence[Line], source: str, ids: bool, line_end: bool,
    details: bool,
) -> ScoredLines:  # fmt: skip
    ends_lines = tokenizers.ends_lines(vocabulary.unit)
    named = [_without_id(line, source) if ids else (None, line) for line in block]
    end = tokenizers.line_end(vocabulary.unit)
    together: list[str] = []
    lengths = []
    for _, line in named:
        tokens = vocabulary.split(line.text, source, line.number)
        together += tokens
        if line.ended or ends_lines:
            together.append(end)
        lengths.append(len(tokens))
    read = corpus.from_tokens(together if ends_lines else "".join(together), 0, vocabulary, source)
    found = in_order(score(network, read, "reset", details=details))
    ended = np.array([line.ended or ends_lines for line in block])
    stops = np.cumsum(np.array(lengths) + ended)
    starts = stops - lengths - ended
    return ScoredLines(
        [line for _, line in named], [id for id, _ in named], found, starts,
        stops if line_end else starts + lengths, ended & line_end,
    )  # fmt: skip


def _without_id(line: Line, source: str) -> tuple[str, Line]:
    """The id of a line, and the line without it.

    Raises:
        TextError: the line has none.
    """
    id, *rest = line.text.split(None, 1) or [""]
    if not id:
        raise TextError(f"{source}:{line.number}: an empty line; with --ids each line begins with an id")
    return id, line._replace(text="".join(rest))
