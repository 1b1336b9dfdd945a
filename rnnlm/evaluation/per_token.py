"""Surprisal, rank and entropy of each token of a text.

surprisal = - log2 y^(t)_x(t)                       bits (Hale 2001; Levy 2008)
entropy   = - sum_j y^_j(t) log2 y^_j(t)            bits, of the prediction that the token was scored by
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnlm.evaluation.perplexity import Totals
from rnnlm.evaluation.records import Evaluation
from rnnlm.files.atomic import atomic_write
from rnnlm.network.network import Network
from rnnlm.network.scoring import Scored, score
from rnnlm.text import tokenizers
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress, Task

COLUMNS = (
    "position", "line", "token", "is_unk", "log_probability", "surprisal_bits", "rank", "entropy_bits",
)  # fmt: skip


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


def token_scores(network: Network, corpus: Corpus, tokens: Iterator[str], state: str) -> Iterator[TokenScore]:
    """The score of each token, in the text's order.

    Args:
        tokens: the text's own tokens, in order.
        state: "carry" or "reset".
    """
    for _, scores in _scored(network, corpus, tokens, state):
        yield from scores


def write_token_scores(
    network: Network, corpus: Corpus, tokens: Iterator[str], state: str, path: Path
) -> Task[Evaluation]:
    """Write the score of each token to `path` (TSV). Yields Progress, returns an Evaluation.

    Args:
        tokens, state: as for `token_scores`.
    """
    totals = Totals()
    began = time.perf_counter()
    with atomic_write(path) as file:
        file.write(("\t".join(COLUMNS) + "\n").encode())
        for part, scores in _scored(network, corpus, tokens, state):
            totals.add(part)
            file.write("".join(map(_row, scores)).encode())
            yield Progress("scoring", totals.tokens, len(corpus), "tokens")
    return totals.evaluation(corpus, state, time.perf_counter() - began)


def file_tokens(path: str | Path, vocabulary: Vocabulary) -> Iterator[str]:
    """The tokens of a file, one by one."""
    for piece in tokenizers.pieces(path, vocabulary.unit, vocabulary.lowercase):
        yield from piece.tokens


def _scored(
    network: Network, corpus: Corpus, tokens: Iterator[str], state: str
) -> Iterator[tuple[Scored, list[TokenScore]]]:
    # One stream, so that the tokens come in the order of the text.
    line = 1
    line_end = tokenizers.line_end(corpus.vocabulary.unit)
    for part in score(network, corpus, state, batch=1, details=True):
        scores = []
        columns = zip(
            part.position.tolist(), part.log_probability.tolist(), part.unknown.tolist(), part.rank.tolist(),
            part.entropy.tolist(), strict=True,
        )  # fmt: skip
        for position, log_probability, unknown, rank, entropy in columns:
            token = next(tokens)
            bits = -log_probability / math.log(2)
            scores.append(
                TokenScore(position + 1, line, token, unknown, log_probability, bits, rank, entropy / math.log(2))
            )
            line += token == line_end
        yield part, scores


def _row(score: TokenScore) -> str:
    token = score.token.encode("unicode_escape").decode("ascii") if not _shows(score.token) else score.token
    return (
        f"{score.position}\t{score.line}\t{token}\t{int(score.is_unk)}\t{score.log_probability:.6f}\t{score.surprisal:.6f}\t"
        f"{score.rank}\t{score.entropy:.6f}\n"
    )


def _shows(token: str) -> bool:
    """Whether a token can stand in a table as it is: no white space, nothing invisible, no lone backslash."""
    return token.isprintable() and not token.isspace() and (len(token) > 1 or token != "\\")
