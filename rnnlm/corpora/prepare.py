"""Preparation of the data: a configuration's texts, vocabulary and encoded corpora."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rnnlm import user_cache
from rnnlm.config.data import Data
from rnnlm.config.encodings import UTF_8
from rnnlm.config.schema import Config
from rnnlm.config.subwords import SubwordFile
from rnnlm.corpora import cache, grammar, split
from rnnlm.corpora.grammar import Grammar
from rnnlm.errors import InputError, TextError
from rnnlm.files import atomic
from rnnlm.text import corpus, files, vocabulary
from rnnlm.text.corpus import Corpus
from rnnlm.text.joined import Joined, TextPath, files_of, find, matching, of
from rnnlm.text.tokenizers import Subwords, subword_training, subwords
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Note, Task

NAMES: tuple[Literal["train", "valid", "test"], ...] = ("train", "valid", "test")
# What a text is called in messages.
CALLED = {"train": "training", "valid": "validation", "test": "test"}

# Above the first share of unknown tokens a text is refused, above the second something is probably wrong, above
# the third it is worth a word.
_COVERS_NOTHING, _COVERS_LITTLE, _COVERS_MOST = 0.99, 0.5, 0.1
_OTHER_TEXT = "is it the same language, unit and lower case as the training text?"
_OWN_TEXT = "lower vocab.min_count or raise vocab.max_size"


@dataclass(frozen=True)
class Texts:
    """The files of the training, validation and test text; None where there is none.

    lowest: the lowest perplexity that any model can reach, for a grammar.
    """

    train: Path | Joined
    valid: Path | Joined | None
    test: Path | Joined | None
    lowest: float | None = None

    @property
    def by_name(self) -> dict[str, Path | Joined]:
        """The texts that there are, by "train", "valid", "test"."""
        found = zip(NAMES, (self.train, self.valid, self.test), strict=True)
        return {name: path for name, path in found if path is not None}

    @property
    def single(self) -> dict[str, Path]:
        """Those of the texts that are one file, as all are that were cut from one or that a grammar has written."""
        return {name: path for name, path in self.by_name.items() if isinstance(path, Path)}


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

    @property
    def hashes(self) -> dict[str, str]:
        """sha256 of each text that there is, by its name: "train", "valid", "test"."""
        found = zip(NAMES, (self.train, self.valid, self.test), strict=True)
        return {name: corpus.text_hash for name, corpus in found if corpus is not None}

    @property
    def files(self) -> dict[str, list[dict[str, str | int]]]:
        """Path, weight and tokens (of all times) of every file of each text that is several, by the text's name."""
        found = zip(NAMES, (self.train, self.valid, self.test), strict=True)
        return {
            name: [{"path": f.name, "weight": f.weight, "tokens": f.counts.tokens} for f in corpus.files]
            for name, corpus in found
            if corpus is not None and corpus.joined is not None
        }


def texts(config: Config) -> Task[Texts]:
    """Paths of the three texts. Those that are cut from one or come from a grammar are written into the cache."""
    data = config.data
    if data.train is not None:
        found = _named(config)
        for path in found.by_name.values():
            files.check_file(path)
        yield from _held_out_too(found)
        return found
    if data.text is not None:
        assert data.split is not None
        files.check_file(data.text)
        source, shares = Path(data.text), data.split
        read_as = () if data.encoding == UTF_8 else (data.encoding,)
        name = cache.key("cut", files.sha256(source), shares, data.unit, *read_as)
        folder = yield from cache.texts(
            name, lambda folder: split.cut(source, shares, data.unit, folder, data.encoding)
        )
        return in_folder(folder)
    assert data.grammar is not None
    language, sentences = grammar.load(data.grammar.type), data.grammar.sentences
    name = cache.key("grammar", files.sha256(grammar.find(data.grammar.type)), sentences)
    folder = yield from cache.texts(name, lambda folder: _write_all(language, sentences, folder))
    return in_folder(folder, language.lowest_perplexity())


def training_text(config: Config) -> Path | Joined | None:
    """The text of `data.train`, which may be a pipe; None where the configuration has none."""
    return find("data.train", config.data.named("train")) if config.data.train is not None else None


def _named(config: Config) -> Texts:
    """The texts of `data.train`, `valid` and `test`, which need not be there."""
    train, valid, test = (
        find(f"data.{name}", named) if (named := config.data.named(name)) else None for name in NAMES
    )
    assert train is not None  # where the configuration has a validation or test text, it has a training text
    return Texts(train, valid, test)


def _held_out_too(found: Texts) -> Task[None]:
    """A warning of each file that is trained with and held out."""
    training = {path.resolve() for path in files_of(found.train)}
    among = "among the training texts" if len(training) > 1 else "the training text"
    for name in ("valid", "test"):
        for path in files_of(found.by_name[name]) if name in found.by_name else ():
            if path.resolve() in training:
                what = f"{path}: is {among} and is the {CALLED[name]} text too"
                yield Note(f"{what}; its perplexity says nothing of other texts", warning=True)


def spelled_out(config: Config) -> Config:
    """The configuration with the files of each folder and pattern in its place."""
    found: dict[str, Any] = {}
    for name in NAMES if config.data.train is not None else ():
        named = config.data.named(name)
        files_named = [
            (text if paths == [Path(text)] else str(path), weight)
            for text, weight in named
            for paths in [matching(text)]
            for path in paths
        ]
        if files_named != named:
            found[name] = [{"path": path, "weight": w} if w > 1 else path for path, w in files_named]
    return with_texts(config, found) if found else config


def with_texts(config: Config, found: Mapping[str, Any]) -> Config:
    """The configuration with these texts ("train", "valid", "test")."""
    return config.model_copy(update={"data": Data.model_validate(config.data.model_dump() | dict(found))})


def in_folder(folder: Path, lowest: float | None = None) -> Texts:
    """The texts of a folder that `cut` or a grammar has written."""
    train, valid, test = (folder / f"{name}.txt" for name in NAMES)
    return Texts(train, valid if valid.exists() else None, test if test.exists() else None, lowest)


def _write_all(language: Grammar, sentences: list[int], folder: Path) -> Task[None]:
    for number, (name, count) in enumerate(zip(NAMES, sentences, strict=True)):
        # The texts are samples of one language that have nothing else in common: each has a seed of its own.
        yield from grammar.write(language, count, (0, number), folder / f"{name}.txt")


def build_vocabulary(config: Config, train: TextPath) -> Task[Vocabulary]:
    """The vocabulary of ``vocab.file``, or of the training text."""
    settings, unit = config.vocab, config.data.unit
    tokenizer = (yield from _subwords(config, train)) if unit == "subword" else config.data.tokenizer
    if settings.file is not None:
        words = vocabulary.load(settings.file, unit, settings.lowercase, tokenizer)
        if config.model.output.type == "adaptive":
            yield from _told_of_order(words, settings.file)
        return words
    options = (unit, settings.lowercase, settings.min_count, settings.max_size, tokenizer, config.data.encoding_read)
    if files.size(train) is None:  # a pipe, which is read once
        return (yield from vocabulary.build(train, *options))
    path = cache.folder() / f"{cache.key('vocabulary', files.sha256(train), *map(_plain, options))}.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        found = Vocabulary(kept["tokens"], kept["counts"], unit, settings.lowercase, tokenizer)
        user_cache.touch(path)
    except (OSError, ValueError, KeyError, TypeError):
        found = yield from vocabulary.build(train, *options)
        atomic.write_text(path, json.dumps({"tokens": found.tokens, "counts": found.counts.tolist()}))
    return found


def _told_of_order(words: Vocabulary, path: str) -> Task[None]:
    """A warning where tokens are not in the order of falling count, by which an adaptive softmax has its clusters, or
    have no counts that say so."""
    counts, end = words.counts, words.line_end
    rising = np.flatnonzero(np.diff(counts) > 0)
    if len(rising):
        first = int(rising[0]) + 1
        found = (
            f"{words.spell(first)} stands {counts[first]:,} times, the token before it {counts[first - 1]:,}; sort "
            "the file by falling count"
        )
    elif counts.min() == counts.max() or counts[end] == 0:
        found = (
            f"{words.spell(end)} stands {counts[end]:,} times, the first token {counts[0]:,}; give the counts of a "
            "text, and sort by them"
        )
    else:
        return
    yield Note(
        f"{path}: {found}: model.output: adaptive takes the first tokens for the most frequent ones, and is slower "
        "and its perplexity higher where they are not",
        warning=True,
    )


def _plain(option: Any) -> Any:
    """An option of the vocabulary as a key has it."""
    return str(option) if isinstance(option, Subwords) else option


def _subwords(config: Config, train: TextPath) -> Task[Subwords]:
    """The tokenizer of a model of subwords: that of a file, or one that is trained on the training text, or kept from
    an earlier time."""
    wanted = config.data.subwords
    assert wanted is not None
    if isinstance(wanted, SubwordFile):
        return subwords.load(wanted.path)
    options = (wanted.type, wanted.size, config.vocab.lowercase, config.data.encoding_read)
    path = cache.folder() / f"{cache.key('subwords', files.sha256(train), *options)}.model"
    try:
        found = Subwords(path.read_bytes(), path.name)
        _ = found.tokens
        user_cache.touch(path)
    except (OSError, InputError):
        found = yield from subword_training.train(train, *options)
        atomic.write_bytes(path, found.data)
    return found


def encode(config: Config, paths: Texts, words: Vocabulary) -> Task[Corpora]:
    """Encode all texts, into the cache.

    Raises:
        TextError: a text of which the vocabulary covers almost nothing; a training text shorter than one
            window of the batch.
    """
    folder, encoding = cache.folder(), config.data.encoding_read
    train = yield from corpus.encode(paths.train, words, folder, encoding)
    smallest = config.train.batch * config.train.bptt
    if len(train) < smallest:
        raise TextError(
            f"{called(config, 'train', paths.train)}: {len(train)} tokens, fewer than one window of the batch "
            f"(train.batch {config.train.batch} x train.bptt {config.train.bptt} = {smallest}); lower one of them"
        )
    advice = _OTHER_TEXT if config.vocab.file else _OWN_TEXT
    yield from check_coverage(train, called(config, "train", paths.train), advice)
    others: dict[str, Corpus | None] = {"valid": None, "test": None}
    for name in others:
        if path := paths.by_name.get(name):
            others[name] = other = yield from corpus.encode(path, words, folder, encoding)
            yield from check_coverage(other, called(config, name, path))
    return Corpora(train, others["valid"], others["test"])


def called(config: Config, name: str, path: TextPath) -> str:
    """What messages call a text: its file, or what it was cut from or written by."""
    data = config.data
    if data.train is not None:
        return files.name(path)
    whole = data.text if data.text is not None else f"grammar {data.grammar.type if data.grammar else ''}"
    return f"{whole} (its {CALLED[name]} text)"


def kept(config: Config, hashes: Mapping[str, str], words: Vocabulary) -> tuple[Texts, Corpora] | None:
    """The encoded texts of `data.train`, `valid` and `test` that lie in the cache, whether or not the texts
    themselves are there; None where one is missing.

    Args:
        config: names their files. hashes: sha256 of each text.
    """
    named, encoding = [config.data.named(name) for name in NAMES], config.data.encoding_read
    texts = [of(files_named) if files_named else None for files_named in named]
    found = [
        None if text is None else corpus.kept(text, hashes.get(name, ""), words, cache.folder(), encoding)
        for name, text in zip(NAMES, texts, strict=True)
    ]
    (train, valid, test), (train_path, valid_path, test_path) = found, texts
    if train is None or train_path is None or [c is None for c in found] != [text is None for text in texts]:
        return None
    return Texts(train_path, valid_path, test_path), Corpora(train, valid, test)


def check_coverage(encoded: Corpus, name: str | None = None, advice: str = _OTHER_TEXT) -> Task[None]:
    """Check the out-of-vocabulary rate; yields a Note where it is high.

    Args:
        name: what the text is called in messages, left out where that is its file.
        advice: what to do where the rate is very high.

    Raises:
        TextError: less than 1% of the tokens are known.
    """
    share = encoded.counts.unknown / encoded.counts.tokens
    found = f"{name or encoded.source}: {share:.1%} of its tokens are not in the vocabulary"
    if share > _COVERS_NOTHING:
        raise TextError(f"{found}; {advice}")
    if share > _COVERS_MOST:
        yield Note(f"{found}; {advice}" if share > _COVERS_LITTLE else found, warning=True)
