"""Perplexity and surprisal: what a trained network says about a given text.

    perplexity = exp(- 1/N sum_t log y^(t)_x(t))        over all N tokens, the first one and every line end included
    surprisal  = - log2 y^(t)_x(t)                      bits (Hale 2001; Levy 2008)

A token outside the vocabulary is scored as ``<unk>``; the figure without such tokens is given beside the one with
them, and bits per character of the raw text is what models with other vocabularies and units can be compared by.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnnlm.evaluation.records import Evaluation
from rnnlm.files import atomic as storage
from rnnlm.network.network import Network
from rnnlm.network.scoring import Scored, score
from rnnlm.text import tokenizer
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress, Task

PER_TOKEN_COLUMNS = (
    "position", "line", "token", "is_unk", "log_probability", "surprisal_bits", "rank", "entropy_bits",
)  # fmt: skip


@dataclass(frozen=True)
class TokenScore:
    """One token of a text. `position` and `line` count from 1; `log_probability` in nats; `surprisal` and `entropy`
    (of the prediction that the token was scored by) in bits; `rank`: 1 when no token was more probable. `token` is
    the text's own word, also where it was scored as <unk>."""

    position: int
    line: int
    token: str
    is_unk: bool
    log_probability: float
    surprisal: float
    rank: int
    entropy: float


def evaluate(
    network: Network, corpus: Corpus, state: str, batch: int = 32, window: int | None = None
) -> Task[Evaluation]:
    """Perplexity of a text. Yields Progress, returns an Evaluation. `batch` and `window` change the speed, not the
    figure."""
    totals = _Totals()
    began = time.perf_counter()
    for part in score(network, corpus, state, batch, window):
        totals.add(part)
        yield Progress("scoring", totals.tokens, len(corpus), "tokens")
    return totals.evaluation(corpus, state, time.perf_counter() - began)


def per_token(
    network: Network, corpus: Corpus, tokens: Iterator[str], state: str, path: Path | None = None
) -> Task[Evaluation]:
    """Each token's scores, in the text's order. Yields Progress and TokenScore; with `path` writes them there as TSV
    instead and yields only Progress. Returns an Evaluation.

    Args:
        tokens: the text's own tokens, in order.
    """
    totals = _Totals()
    began = time.perf_counter()
    if path is None:
        for part, scores in _token_scores(network, corpus, tokens, state):
            totals.add(part)
            yield from scores
        return totals.evaluation(corpus, state, time.perf_counter() - began)
    with storage.atomic_write(path) as file:
        file.write(("\t".join(PER_TOKEN_COLUMNS) + "\n").encode())
        for part, scores in _token_scores(network, corpus, tokens, state):
            totals.add(part)
            file.write("".join(map(_row, scores)).encode())
            yield Progress("scoring", totals.tokens, len(corpus), "tokens")
    return totals.evaluation(corpus, state, time.perf_counter() - began)


def file_tokens(path: Path, vocabulary: Vocabulary) -> Iterator[str]:
    """A file's tokens, one by one."""
    for piece in tokenizer.pieces(path, vocabulary.unit, vocabulary.lowercase):
        yield from piece.tokens


def _token_scores(
    network: Network, corpus: Corpus, tokens: Iterator[str], state: str
) -> Iterator[tuple[Scored, list[TokenScore]]]:
    # One stream, so that the tokens come in the order of the text.
    line = 1
    line_end = tokenizer.line_end(corpus.vocabulary.unit)
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
    """Whether a token can stand in a table as it is: no white space, nothing invisible, no backslash of ours."""
    return token.isprintable() and not token.isspace() and (len(token) > 1 or token != "\\")


class _Totals:
    def __init__(self) -> None:
        self.tokens = self.unknown = 0
        self.nats = self.known_nats = 0.0

    def add(self, part: Scored) -> None:
        self.tokens += part.log_probability.size
        self.unknown += int(part.unknown.sum())
        self.nats -= float(part.log_probability.sum())
        self.known_nats -= float(part.log_probability[~part.unknown].sum())

    def evaluation(self, corpus: Corpus, state: str, seconds: float) -> Evaluation:
        known = self.tokens - self.unknown
        perplexity = _perplexity(self.nats, self.tokens)
        bits = self.nats / math.log(2)
        characters = corpus.counts.characters
        vocabulary = corpus.vocabulary
        notes = []
        if self.unknown and vocabulary.unk is not None and vocabulary.counts[vocabulary.unk] == 0:
            notes.append(
                f"{self.unknown:,} tokens are unknown, and <unk> never stood in the training text, "
                "so its probability means nothing: train with vocab.min_count: 2, or compare perplexities without "
                "unknown tokens"
            )
        return Evaluation(
            perplexity=perplexity,
            perplexity_with_unk=perplexity,
            perplexity_without_unk=_perplexity(self.known_nats, known) if known else None,
            tokens=self.tokens,
            unknown=self.unknown,
            line_ends=corpus.counts.line_ends,
            characters=characters,
            bits_per_token=bits / self.tokens,
            bits_per_character=bits / max(1, characters),
            state=state,
            seconds=seconds,
            tokens_per_second=self.tokens / max(1e-9, seconds),
            notes=tuple(notes),
        )


def _perplexity(nats: float, tokens: int) -> float:
    mean = nats / tokens
    return float(np.exp(mean)) if mean < 700 else math.inf
