"""From a configuration to what training starts from: texts, vocabulary, encoded corpora, embedding table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm import vectors
from rnnlm.config.schema import Config
from rnnlm.corpora import grammar
from rnnlm.errors import TextError
from rnnlm.files import atomic as storage
from rnnlm.kernels.parallel.thread_pool import threads_to_use
from rnnlm.text import corpus, files, vocabulary
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.vectors import pretrained as vector_file
from rnnlm.work import Note, Task

# Above the first share of unknown tokens a text and a vocabulary do not belong together; above the second it is worth
# a word.
_COVERS_NOTHING, _COVERS_LITTLE = 0.5, 0.1


@dataclass(frozen=True)
class Texts:
    """Paths; None where there is no such text. `lowest`: the lowest perplexity that any model can reach, for a
    grammar."""

    train: Path
    valid: Path | None
    test: Path | None
    lowest: float | None = None


@dataclass(frozen=True)
class Corpora:
    """The encoded texts."""

    train: Corpus
    valid: Corpus | None
    test: Corpus | None

    @property
    def tokens(self) -> int:
        """Of all texts together."""
        return sum(len(corpus) for corpus in (self.train, self.valid, self.test) if corpus is not None)


def texts(config: Config) -> Task[Texts]:
    """The three texts; writes them into the run's folder where they are cut from one or come from a grammar."""
    data = config.data
    if data.train is not None:
        valid, test = (Path(p) if p else None for p in (data.valid, data.test))
        found = Texts(Path(data.train), valid, test)
        for path in (found.train, found.valid, found.test):
            if path is not None and files.size(path) == 0:
                raise TextError(f"{path}: empty; give a text with at least one token")
        return found
    folder = Path(config.run) / "text"
    if data.text is not None:
        assert data.split is not None
        paths = yield from _cut(Path(data.text), data.split, data.unit, folder)
        return Texts(*paths)
    assert data.grammar is not None
    language = grammar.load(data.grammar.type)
    names = ("train", "valid", "test")
    for number, (name, sentences) in enumerate(zip(names, data.grammar.sentences, strict=True)):
        # The texts are samples of one language that have nothing else in common: each has a seed of its own.
        yield from grammar.write(language, sentences, (0, number), folder / f"{name}.txt")
    train, valid, test = (folder / f"{name}.txt" for name in names)
    return Texts(train, valid, test, language.lowest_perplexity())


def build_vocabulary(config: Config, train: Path) -> Task[Vocabulary]:
    """``vocab.file``, or what the training text gives."""
    if config.vocab.file is not None:
        return vocabulary.load(config.vocab.file, config.data.unit, config.vocab.lowercase)
    built = yield from vocabulary.build(
        train, config.data.unit, config.vocab.lowercase, config.vocab.min_count, config.vocab.max_size
    )
    return built


def encode(config: Config, paths: Texts, words: Vocabulary) -> Task[Corpora]:
    """All texts as ids, in ``RUN/cache``.

    Raises:
        TextError: a text of which the vocabulary covers almost nothing; a training text shorter than one window of
            the batch.
    """
    folder = Path(config.run) / "cache"
    train = yield from corpus.encode(paths.train, words, folder)
    smallest = config.train.batch * config.train.bptt
    if len(train) < smallest:
        raise TextError(
            f"{paths.train}: {len(train)} tokens, fewer than one window of the batch "
            f"(train.batch {config.train.batch} x train.bptt {config.train.bptt} = {smallest}); lower one of them"
        )
    yield from check_coverage(train)
    others: list[Corpus | None] = []
    for path in (paths.valid, paths.test):
        other = None
        if path is not None:
            other = yield from corpus.encode(path, words, folder)
            yield from check_coverage(other)
        others.append(other)
    return Corpora(train, *others)


def check_coverage(encoded: Corpus) -> Task[None]:
    """Yields a Note when the vocabulary covers little of the text.

    Raises:
        TextError: most of the text is unknown.
    """
    share = encoded.counts.unknown / encoded.counts.tokens
    if share > _COVERS_NOTHING:
        raise TextError(
            f"{encoded.source}: {share:.0%} of its tokens are not in the vocabulary; "
            "is it the same language, unit and lower case as the training text?"
        )
    if share > _COVERS_LITTLE:
        yield Note(f"{encoded.source}: {share:.1%} of its tokens are not in the vocabulary", warning=True)


def embedding_table(config: Config, train: Corpus, words: Vocabulary) -> Task[NDArray[np.float32]]:
    """The |V| x d table that ``embedding.init`` makes."""
    threads = threads_to_use(config.train.threads)
    return (yield from vectors.make(train, words, config.embedding, config.train.seed, threads))


def write_vocabulary(config: Config, path: Path) -> Task[Vocabulary]:
    """``rnnlm vocab``: count the training text and write the vocabulary to `path`; returns it."""
    found = yield from texts(config)
    words = yield from build_vocabulary(config, found.train)
    words.save(path)
    return words


def write_embedding(config: Config, path: Path) -> Task[NDArray[np.float32]]:
    """``rnnlm embed``: make the table and write it to `path` in word2vec's text format; returns it."""
    found = yield from texts(config)
    words = yield from build_vocabulary(config, found.train)
    encoded = yield from corpus.encode(found.train, words, Path(config.run) / "cache")
    table = yield from embedding_table(config, encoded, words)
    vector_file.save(path, [words.spell(i) for i in range(len(words))], table)
    return table


def _cut(path: Path, shares: list[float], unit: str, folder: Path) -> Task[tuple[Path, Path | None, Path | None]]:
    """Cut one text by characters (bytes for the unit byte; words: at the next line end). Returns three paths, None
    where the share is 0.

    Raises:
        TextError: the text is so short, or of so few lines, that a part would be empty.
    """
    total = sum(len(part) for part in _parts(path, unit))
    if total == 0:
        raise TextError(f"{path}: empty; give a text with at least one token")
    last = max(number for number, share in enumerate(shares) if share > 0)
    # The sums of the shares are off by rounding: 0.7 + 0.2 of ten characters are nine.
    ends = [total if i >= last else int(total * sum(shares[: i + 1]) + 1e-9) for i in range(len(shares))]
    paths: dict[str, Path] = {}
    parts = _parts(path, unit)
    rest: Any = b"" if unit == "byte" else ""
    newline: Any = b"\n" if unit == "byte" else "\n"
    position = 0
    for number, (name, end) in enumerate(zip(("train", "valid", "test"), ends, strict=False)):
        if shares[number] == 0:
            continue
        if end <= position:
            lines = " or with more lines" if unit == "word" else ""
            raise TextError(
                f"{path}: data.split leaves nothing for {name}; give a longer text{lines}, or other shares"
            )
        target = folder / f"{name}.txt"
        with storage.atomic_write(target) as file:
            while position < end:
                rest = rest or next(parts)
                piece = rest[: end - position]
                rest = rest[len(piece) :]
                position += len(piece)
                if unit == "word" and position == end and not piece.endswith(newline) and end < total:
                    # A line is never cut: go on to its end.
                    rest = rest or next(parts)
                    found = rest.find(newline)
                    end = min(total, position + (found + 1 if found >= 0 else len(rest) + 1))
                file.write(piece if unit == "byte" else piece.encode("utf-8"))
        paths[name] = target
    yield Note(f"{path}: cut into {' and '.join(map(str, paths.values()))}")
    return paths["train"], paths.get("valid"), paths.get("test")


def _parts(path: Path, unit: str) -> Iterator[Any]:
    if unit == "byte":
        yield from (block.data for block in files.blocks(path))
    else:
        yield from (text for text, _ in files.characters(path) if text)
