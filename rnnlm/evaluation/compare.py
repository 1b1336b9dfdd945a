"""Comparison of two models on one text, and how much of the difference is chance.

The difference is (nats of A - nats of B) / n, over all lines of the text, in bits a character or a token; below 0,
A is better. Its 95% interval and p are those of a paired bootstrap (Efron & Tibshirani 1993, ch. 13; Koehn
2004): stretches of the text are drawn with replacement, both models' scores of each together. A stretch is a line
under "reset", several lines one after the other under "carry", where lines are not independent.

    p = 2 min(share of draws with a difference <= 0, share with one >= 0), the text itself counted among them
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import NotFiniteError
from rnnlm.evaluation.mixture import NetworkPredictor, trained_otherwise
from rnnlm.evaluation.records import Comparison, Difference, WordGain
from rnnlm.network.network import Network
from rnnlm.text import corpus, files
from rnnlm.text.corpus import Corpus
from rnnlm.text.joined import TextPath, files_of
from rnnlm.text.lines import characters_of, lines
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Task

# Lines of a stretch under "carry"; stretches at most, so that drawing them stays quick.
_LINES, _STRETCHES = 10, 2000
# Draws at a time.
_TOGETHER = 500
_LOG_2 = math.log(2)


class Model(NamedTuple):
    """One of the two: its network and vocabulary."""

    network: Network
    vocabulary: Vocabulary


class _Scores(NamedTuple):
    """One model's scores: of all tokens in their order, and summed by line."""

    corpus: Corpus
    nats: NDArray[np.float64]  # - log y^ of each token
    known: NDArray[np.bool_]  # whether each token is in the vocabulary
    starts: NDArray[np.int64]  # the first token of each line
    by_line: NDArray[np.float64]
    tokens: NDArray[np.int64]  # of each line


def compare(
    one: Model,
    other: Model,
    path: TextPath,
    state: str,
    draws: int = 10_000,
    seed: int = 0,
    words: int = 10,
    encoding: str = UTF_8,
) -> Task[Comparison]:
    """Compare two models on a text. Yields Progress, and a Note where a model was trained with another state;
    returns a Comparison.

    Args:
        path: a text file or several, which is read several times. state: "carry" or "reset", for both.
        draws: of the bootstrap; seed: of its random numbers.
        words: at most so many words where A is better by most, and where B is.
        encoding: of the text, a codec's name.

    Raises:
        TextError: the file cannot be read.
        NotFiniteError: a score is not finite.
    """
    files.check_file(path)
    for name, model in (("A", one), ("B", other)):
        if note := trained_otherwise(name, model.network, state):
            yield note
    with tempfile.TemporaryDirectory(prefix="rnnlm-") as folder:
        units = {model.vocabulary.unit for model in (one, other)}
        unit = "byte" if "byte" in units else "word"
        read = [lines(file, unit, encoding) for file in files_of(path)]
        characters = np.array(
            [characters_of(line.text) + line.ended for own in read for block in own for line in block]
        )
        a = yield from _scores(one, path, state, Path(folder) / "A", encoding)
        b = yield from _scores(other, path, state, Path(folder) / "B", encoding)
        result = _compared(a, b, characters, state, draws, seed, words)
        del a, b  # a mapped file cannot be removed on every system
    return result


def _scores(model: Model, path: TextPath, state: str, folder: Path, encoding: str) -> Task[_Scores]:
    folder.mkdir()
    read = yield from corpus.read(path, model.vocabulary, folder, encoding)
    nats = -(yield from NetworkPredictor(folder.name, model.network).log_probabilities(read, state))
    if not np.isfinite(nats).all():
        raise NotFiniteError(f"{folder.name}: a log-probability is not finite: its weights are far too large")
    ends = np.flatnonzero(read.stored == model.vocabulary.line_end) + 1
    starts = np.concatenate([[0], ends[ends < len(read)]])
    known = read.stored < len(model.vocabulary)
    return _Scores(read, nats, known, starts, np.add.reduceat(nats, starts), np.diff(np.append(starts, len(read))))


def _compared(
    a: _Scores, b: _Scores, characters: NDArray[np.int64], state: str, draws: int, seed: int, words: int
) -> Comparison:
    count = len(a.by_line)
    size = max(1 if state == "reset" else _LINES, -(-count // _STRETCHES))
    stretches = np.arange(0, count, size)
    one, two, tokens, characters = (
        np.add.reduceat(values, stretches) for values in (a.by_line, b.by_line, a.tokens, characters)
    )
    tokenizers = [(side.corpus.vocabulary.unit, side.corpus.vocabulary.tokenizer) for side in (a, b)]
    same_tokens = tokenizers[0] == tokenizers[1]
    lowercase = a.corpus.vocabulary.lowercase, b.corpus.vocabulary.lowercase
    same_words = (
        same_tokens and lowercase[0] == lowercase[1] and a.corpus.vocabulary.tokens == b.corpus.vocabulary.tokens
    )
    differences = [_difference("character", one - two, characters, draws, seed)]
    known = np.ones(len(a.nats), np.bool_)
    if same_tokens:
        known = a.known & b.known
        if not known.all() and known.any():
            of_lines = (
                np.add.reduceat(values, a.starts) for values in (np.where(known, a.nats - b.nats, 0.0), known)
            )
            nats, counts = (np.add.reduceat(values, stretches) for values in of_lines)
            differences.insert(0, _difference("known token", nats, counts, draws, seed))
        differences.insert(0, _difference("token", one - two, tokens, draws, seed))
    of_words = same_tokens and a.corpus.vocabulary.unit == "word"
    untrained = tuple(side.corpus.vocabulary.unk_untrained and side.corpus.counts.unknown > 0 for side in (a, b))
    counted = known if any(untrained) else np.ones_like(known)
    by_word = sorted(_by_word(a, b, counted), key=lambda gain: gain.bits) if of_words else []
    bits = [float(side.nats.sum()) / _LOG_2 for side in (a, b)]
    return Comparison(
        state=state, lines=count, stretches=len(stretches), draws=draws, same_vocabulary=same_words,
        lowercase=lowercase, tokens=(len(a.nats), len(b.nats)),
        unknown=(a.corpus.counts.unknown, b.corpus.counts.unknown), unk_untrained=(untrained[0], untrained[1]),
        bits_per_token=(bits[0] / len(a.nats), bits[1] / len(b.nats)),
        bits_per_character=(bits[0] / int(characters.sum()), bits[1] / int(characters.sum())),
        differences=tuple(differences),
        better=tuple(gain for gain in by_word[:words] if gain.bits < 0),
        worse=tuple(gain for gain in by_word[::-1][:words] if gain.bits > 0),
    )  # fmt: skip


def _difference(unit: str, nats: NDArray[np.float64], counts: NDArray[np.int64], draws: int, seed: int) -> Difference:
    """nats: of A less those of B, by stretch; counts: of the unit, by stretch."""
    bits = float(nats.sum() / counts.sum()) / _LOG_2
    if len(nats) < 2:
        return Difference(unit, bits, None, None, None)
    generator, drawn = np.random.default_rng(seed), np.empty(draws)
    for first in range(0, draws, _TOGETHER):
        chosen = generator.integers(0, len(nats), (min(_TOGETHER, draws - first), len(nats)))
        drawn[first : first + len(chosen)] = nats[chosen].sum(axis=1) / counts[chosen].sum(axis=1) / _LOG_2
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    side = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return Difference(unit, bits, low, high, min(1.0, 2 * (side + 1) / (draws + 1)))


def _by_word(a: _Scores, b: _Scores, counted: NDArray[np.bool_]) -> list[WordGain]:
    """The bits of A less those of B, summed over each word's places. counted: whether a token of the text counts."""
    found: dict[str, list[float]] = {}
    for word, nats, counts in zip(a.corpus.tokens(), (a.nats - b.nats).tolist(), counted.tolist(), strict=True):
        if counts:
            found.setdefault(word, []).append(nats)
    return [WordGain(word, len(places), math.fsum(places) / _LOG_2) for word, places in found.items()]
