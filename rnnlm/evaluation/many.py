"""Scores of many short texts in batches; each begins and is scored as a text of its own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rnnlm.evaluation.per_token import TokenScore
from rnnlm.network.network import Network
from rnnlm.network.scored import Scored, in_order
from rnnlm.network.scoring import score_streams
from rnnlm.text import corpus, tokenizers
from rnnlm.text.streams import Streams
from rnnlm.text.vocabulary import Vocabulary

_BATCH = 64


def score_each(
    network: Network, texts: Sequence[Sequence[str]], vocabulary: Vocabulary, state: str, details: bool = False,
    skipped: Sequence[int] | None = None,
) -> list[Scored]:  # fmt: skip
    """Every token of each text, in order.

    Args:
        texts: their tokens, at least one each.
        state: "carry" or "reset"; details: with rank and entropy.
        skipped: of each text, how many tokens at its beginning are not asked for: their figures are 0.
    """
    if not texts:
        return []
    left_out = None
    if skipped is not None:
        # In the corpus of `side_by_side`: a line end before each text, and one after the last.
        left_out = np.array(
            [0 <= i < count for text, count in zip(texts, skipped, strict=True) for i in range(-1, len(text))]
            + [False]
        )
    parts: list[Scored] = []
    for _, streams in side_by_side(texts, vocabulary, state):
        parts += score_streams(network, streams, details=details, skipped=left_out)
    found = in_order(parts)
    lengths = [len(text) for text in texts]
    each = (found[end - length : end] for end, length in zip(itertools.accumulate(lengths), lengths, strict=True))
    return [replace(scored, position=np.arange(len(scored.position))) for scored in each]


def side_by_side(
    texts: Sequence[Sequence[str]], vocabulary: Vocabulary, state: str, past: int = 0
) -> Iterator[tuple[list[int], Streams]]:
    """Streams of some texts at a time, each with the numbers of its texts.

    Args:
        texts: their tokens, at least one text. past: steps past a text's last token, 0 or 1: at step T its last token
            is the input.
    """
    line_end = [tokenizers.line_end(vocabulary.unit)]
    # One corpus, with a line end before each text, what its first token is predicted from, and one after the last.
    tokens = [token for text in texts for token in (*line_end, *text)] + line_end
    together = corpus.from_tokens(tokens, 0, vocabulary, "texts")
    lengths = np.array([len(text) for text in texts], np.int64)
    stops = np.cumsum(lengths + 1)
    starts = stops - lengths
    # Texts of about the same length side by side: the shorter ones of a batch wait for the longest.
    order = np.argsort(lengths, kind="stable")
    for first in range(0, len(texts), _BATCH):
        batch = order[first : first + _BATCH]
        yield batch.tolist(), Streams(together, starts[batch], stops[batch] + past, state)


def token_scores_of(tokens: Sequence[str], scored: Scored, unit: str) -> list[TokenScore]:
    """The records of one text's tokens."""
    line, line_end, made = 1, tokenizers.line_end(unit), []
    columns = (scored.log_probability, scored.unknown, scored.rank, scored.entropy)
    rows = zip(tokens, *(column.tolist() for column in columns), strict=True)
    for position, (token, log_probability, unknown, rank, entropy) in enumerate(rows, 1):
        bits = -log_probability / math.log(2)
        made.append(TokenScore(position, line, token, unknown, log_probability, bits, rank, entropy / math.log(2)))
        line += token == line_end
    return made
