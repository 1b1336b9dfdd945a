"""Preparation of the data: a configuration's texts, vocabulary and encoded corpora."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rnnlm.config.schema import Config
from rnnlm.corpora import grammar, split
from rnnlm.errors import TextError
from rnnlm.text import corpus, files, vocabulary
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Note, Task

# Above the first share of unknown tokens a text is refused, above the second something is probably wrong, above
# the third it is worth a word.
_COVERS_NOTHING, _COVERS_LITTLE, _COVERS_MOST = 0.99, 0.5, 0.1
_OTHER_TEXT = "is it the same language, unit and lower case as the training text?"
_OWN_TEXT = "lower vocab.min_count or raise vocab.max_size"


@dataclass(frozen=True)
class Texts:
    """Paths of the training, validation and test text; None where there is none.

    lowest: the lowest perplexity that any model can reach, for a grammar.
    """

    train: Path
    valid: Path | None
    test: Path | None
    lowest: float | None = None


@dataclass(frozen=True)
class Corpora:
    """Encoded training, validation and test text."""

    train: Corpus
    valid: Corpus | None
    test: Corpus | None

    @property
    def tokens(self) -> int:
        """Number of tokens of all texts together."""
        return sum(len(corpus) for corpus in (self.train, self.valid, self.test) if corpus is not None)


def texts(config: Config) -> Task[Texts]:
    """Paths of the three texts. Writes them into the run's folder where they are cut from one or come from a
    grammar."""
    data = config.data
    if data.train is not None:
        valid, test = (Path(p) if p else None for p in (data.valid, data.test))
        found = Texts(Path(data.train), valid, test)
        for path in (found.train, found.valid, found.test):
            if path is not None:
                files.check_file(path)
        return found
    folder = Path(config.run) / "text"
    if data.text is not None:
        assert data.split is not None
        files.check_file(data.text)
        paths = yield from split.cut(Path(data.text), data.split, data.unit, folder)
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
    """The vocabulary of ``vocab.file``, or of the training text."""
    if config.vocab.file is not None:
        return vocabulary.load(config.vocab.file, config.data.unit, config.vocab.lowercase)
    built = yield from vocabulary.build(
        train, config.data.unit, config.vocab.lowercase, config.vocab.min_count, config.vocab.max_size
    )
    return built


def encode(config: Config, paths: Texts, words: Vocabulary) -> Task[Corpora]:
    """Encode all texts, into ``RUN/cache``.

    Raises:
        TextError: a text of which the vocabulary covers almost nothing; a training text shorter than one
            window of the batch.
    """
    folder = Path(config.run) / "cache"
    train = yield from corpus.encode(paths.train, words, folder)
    smallest = config.train.batch * config.train.bptt
    if len(train) < smallest:
        raise TextError(
            f"{paths.train}: {len(train)} tokens, fewer than one window of the batch "
            f"(train.batch {config.train.batch} x train.bptt {config.train.bptt} = {smallest}); lower one of them"
        )
    yield from check_coverage(train, _OTHER_TEXT if config.vocab.file else _OWN_TEXT)
    others: list[Corpus | None] = []
    for path in (paths.valid, paths.test):
        other = None
        if path is not None:
            other = yield from corpus.encode(path, words, folder)
            yield from check_coverage(other)
        others.append(other)
    return Corpora(train, *others)


def check_coverage(encoded: Corpus, advice: str = _OTHER_TEXT) -> Task[None]:
    """Check the out-of-vocabulary rate; yields a Note where it is high. `advice`: what to do where it is very high.

    Raises:
        TextError: less than 1% of the tokens are known.
    """
    share = encoded.counts.unknown / encoded.counts.tokens
    found = f"{encoded.source}: {share:.1%} of its tokens are not in the vocabulary"
    if share > _COVERS_NOTHING:
        raise TextError(f"{found}; {advice}")
    if share > _COVERS_MOST:
        yield Note(f"{found}; {advice}" if share > _COVERS_LITTLE else found, warning=True)
