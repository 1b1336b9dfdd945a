"""Scores of each token of a text: surprisal, rank, entropy, and the most probable token.

surprisal = - log2 y^(t)_x(t)                       bits (Hale 2001; Levy 2008)
entropy   = - sum_j y^_j(t) log2 y^_j(t)            bits, of the prediction that the token was scored by
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.evaluation import columns
from rnnlm.evaluation.perplexity import Totals
from rnnlm.evaluation.records import Evaluation
from rnnlm.evaluation.stretches import score_in_order
from rnnlm.files.atomic import atomic_write
from rnnlm.network.network import Network
from rnnlm.network.scored import Scored
from rnnlm.ranks.ranks import Ranks
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress, Task

_LOG_2 = math.log(2)


@dataclass(frozen=True)
class TokenScore:
    """Score of one token of a text.

    position, line: of the token, counted from 1. token: the text's own, also where it was scored as <unk>.
    log_probability: in nats; surprisal, entropy: in bits. rank: 1 when no token was more probable.
    """

    position: int
    line: int
    token: str
    is_unk: bool
    log_probability: float
    surprisal: float
    rank: int
    entropy: float


def token_scores(network: Network, corpus: Corpus, state: str) -> Iterator[TokenScore]:
    """The score of each token, in the text's order. `state`: "carry" or "reset"."""
    tokens = corpus.tokens()
    for part, (lines, _) in _with_places(score_in_order(network, corpus, state, details=True), corpus):
        own = itertools.islice(tokens, part.position.size)
        fields = zip(
            (part.position + 1).tolist(), lines.tolist(), own, part.unknown.tolist(),
            part.log_probability.tolist(), (part.log_probability / -_LOG_2).tolist(), part.rank.tolist(),
            (part.entropy / _LOG_2).tolist(), strict=True,
        )  # fmt: skip
        yield from itertools.starmap(TokenScore, fields)


def write_token_scores(
    network: Network,
    corpus: Corpus,
    state: str,
    path: Path,
    names: Sequence[str] = columns.DEFAULT,
    ranks: Ranks | None = None,
) -> Task[Evaluation]:
    """Write the score of each token to `path` (TSV). Yields Progress, returns an Evaluation.

    Args:
        state: "carry" or "reset".
        names: of the columns. Those of ``columns.DISTRIBUTION`` take as long as all the rest, or several times that.
        ranks: share the lines out; None: this process alone.
    """
    totals = Totals(corpus, network.output.self_normalised)
    began = time.perf_counter()
    tokens = corpus.tokens()
    details = not set(columns.DISTRIBUTION).isdisjoint(names)
    with atomic_write(path) as file:
        file.write(("\t".join(names) + "\n").encode())
        for part, places in _with_places(score_in_order(network, corpus, state, details, ranks), corpus):
            totals.add(part)
            own = list(itertools.islice(tokens, part.position.size))
            cells = [_cells(name, part, places, own, corpus.vocabulary) for name in names]
            file.write(("\n".join(map("\t".join, zip(*cells, strict=True))) + "\n").encode())
            yield Progress("scoring", totals.tokens, len(corpus), "tokens")
    return totals.evaluation(corpus, state, time.perf_counter() - began)


class _Places(NamedTuple):
    """Where tokens stand: their lines, and their places in these, both from 1."""

    line: NDArray[np.int64]
    in_line: NDArray[np.int64]


def _with_places(parts: Iterable[Scored], corpus: Corpus) -> Iterator[tuple[Scored, _Places]]:
    """Scores in the order of the text, and where their tokens stand."""
    line, begun = 1, 0  # the line that the next token stands in, and the tokens of it before that
    for part in parts:
        is_end = corpus.stored[part.position] == corpus.vocabulary.line_end
        begins, index = np.concatenate(([False], is_end[:-1])), np.arange(len(is_end))
        in_line = 1 + index - np.maximum.accumulate(np.where(begins, index, -begun))
        yield part, _Places(line + np.cumsum(begins), in_line)
        line, begun = line + int(is_end.sum()), 0 if is_end[-1] else int(in_line[-1])


def _cells(name: str, part: Scored, places: _Places, tokens: Sequence[str], vocabulary: Vocabulary) -> Iterable[str]:
    """One column of some rows."""
    if name == "token":
        return map(_quoted, tokens)
    if name == "alternative":
        return (_quoted(vocabulary.tokens[id]) for id in part.alternative.tolist())
    if name == "comparable":
        return map(str, (~part.unknown & (not vocabulary.lowercase)).astype(int).tolist())
    numbers = {
        "position": part.position + 1, "line": places.line, "is_unk": part.unknown.astype(int), "rank": part.rank,
        "line_position": places.in_line,
    }  # fmt: skip
    if name in numbers:
        return map(str, numbers[name].tolist())
    values = {
        "log_probability": part.log_probability, "surprisal_bits": part.log_probability / -_LOG_2,
        "entropy_bits": part.entropy / _LOG_2, "alternative_bits": part.alternative_log_probability / -_LOG_2,
    }  # fmt: skip
    return map("{:.6f}".format, values[name].tolist())


_quoted = lru_cache(1 << 16)(columns.quoted)
