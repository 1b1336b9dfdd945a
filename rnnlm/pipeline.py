"""Pipelines of ``rnnlm train``, ``vocab``, ``embed`` and ``eval --with``: from files to results."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from rnnlm import vectors
from rnnlm.config.encodings import UTF_8
from rnnlm.config.schema import Config
from rnnlm.config.subwords import SubwordFile
from rnnlm.config.tuned import Tuned
from rnnlm.corpora import cache, prepare
from rnnlm.errors import InputError, ResourceError
from rnnlm.evaluation.dynamic import DynamicPredictor
from rnnlm.evaluation.mixture import NetworkPredictor, Predictor, checked, evaluate_mixture, trained_otherwise
from rnnlm.evaluation.neural_cache import CachePredictor
from rnnlm.evaluation.records import Baseline, Evaluation, Mixture
from rnnlm.evaluation.tuning import tune_cache, tune_dynamic
from rnnlm.files import atomic, log, model_file, own_texts
from rnnlm.language_model import LanguageModel
from rnnlm.ngram import arpa
from rnnlm.ngram.baseline import beside, quick
from rnnlm.ngram.predictor import NGramPredictor
from rnnlm.ranks.ranks import Ranks
from rnnlm.sampling.records import Samples
from rnnlm.text import corpus, files, tokenizers
from rnnlm.text.corpus import Corpus
from rnnlm.text.joined import Joined
from rnnlm.text.tokenizers import Subwords
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training import loop as training
from rnnlm.training import loss_curve
from rnnlm.training.records import End, FinalTest, Start
from rnnlm.vectors import pretrained
from rnnlm.work import Note, Task

_T = TypeVar("_T")

_UNNOTICED = 0.1  # seconds


def run(
    config: Config,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
    restart: bool = False,
    ranks: Ranks | None = None,
) -> Task[dict[str, Any]]:
    """All of ``rnnlm train``: training, a picture of the loss where matplotlib is there (a Note), three
    samples of the best model (Samples), its perplexity on each of several validation texts (a Note) and on the test
    text (an Evaluation). Yields records,
    returns the results as plain data.

    Args:
        stop: asked after every record; True ends the training after its update, and anything else at once.
        ranks: those that train together, of which this is the leader; None: this process alone.

    Raises:
        KeyboardInterrupt: `stop` said so before or after the training.
    """
    end = yield from train(config, resume, stop, restart, ranks)
    result = {key: value for key, value in asdict(end).items() if key != "event"}
    picture = loss_curve.draw(Path(config.run))
    if picture is not None:
        yield Note(f"the loss as a picture: {picture}")
    if result["reason"] == "interrupted":
        return result
    model = LanguageModel(model_file.load(config.run), config.train.threads)
    line = tokenizers.ends_lines(config.data.unit)
    texts = model.samples(3, tokens=40 if line else 200, seed=config.train.seed, stop_at_line_end=line)
    yield Samples(tuple(texts))
    result["samples"] = texts
    if isinstance(valid := own_texts.own_text(model.trained, "valid"), Joined):
        evaluation = yield from _until(stop, model.evaluating(path=valid, encoding=model.config.data.encoding_read))
        each = ", ".join(f"{file.path} {file.perplexity:.4g}" for file in evaluation.files)
        yield Note(f"validation perplexity of the best model by file: {each}")
        result["valid"] = evaluation.json()
    if model.test_text() is not None:
        evaluation = yield from _until(stop, model.evaluating_own_text())
        encoding = model.config.data.encoding_read
        evaluation = yield from with_baseline(model, evaluation, model.own_text(), end.seconds, encoding)
        yield evaluation
        result["test"] = evaluation.json()
        try:
            log.append(Path(config.run), _final_test(end, evaluation))
        except ResourceError as error:
            yield Note(str(error), warning=True)
    return result


def _final_test(end: End, found: Evaluation) -> FinalTest:
    """The record of the log that ``rnnlm runs`` and ``rnnlm eval`` read."""
    loss = found.bits_per_token * math.log(2)
    baseline = None if found.baseline is None else asdict(found.baseline)
    by_file = {file.path: file.perplexity for file in found.files}
    return FinalTest(
        end.updates, end.epoch, end.tokens, end.seconds, loss, found.perplexity, found.tokens, found.unknown,
        baseline, by_file or None,
    )  # fmt: skip


def evaluate(
    model: LanguageModel,
    text: Path | None,
    state: str | None,
    per_token: Path | None,
    columns: Sequence[str],
    encoding: str = UTF_8,
) -> Task[Evaluation]:
    """``rnnlm eval``: `LanguageModel.evaluating`, of the run's own text where `text` is None, with the baseline that
    the run's log has or that takes less than a tenth of the time. encoding: of `text`, a codec's name."""
    if text is not None:
        found = yield from model.evaluating(
            path=text, state=state, per_token=per_token, columns=columns, encoding=encoding
        )
        return (yield from with_baseline(model, found, text, found.seconds, encoding))
    found = yield from model.evaluating_own_text(state, per_token, columns)
    if model.test_text() is not None and (baseline := _logged_baseline(model)) is not None:
        return replace(found, baseline=baseline)
    encoding = model.config.data.encoding_read
    return (yield from with_baseline(model, found, model.own_text(), found.seconds, encoding))


def with_baseline(
    model: LanguageModel, found: Evaluation, text: Path | Joined, seconds: float, encoding: str = UTF_8
) -> Task[Evaluation]:
    """The evaluation of a text with its baseline, where the training text is there and this takes less than a tenth
    of `seconds`, or so little that nobody would notice."""
    if not quick(model.vocabulary, found.tokens, max(_UNNOTICED, seconds / 10)) or files.size(text) is None:
        return found  # the last: a pipe, which is read once
    try:
        train = own_texts.own_text(model.trained, "train")
    except InputError:  # another text is in its place
        return found
    if train is None:
        return found
    baseline = yield from beside(train, text, model.vocabulary, model.config.data.encoding_read, encoding)
    return replace(found, baseline=baseline)


def _logged_baseline(model: LanguageModel) -> Baseline | None:
    """That of the run's own test text."""
    tests = [record for record in log.read(model.trained.path.parent) if record.get("event") == "test"]
    match tests[-1:]:
        case [{"baseline": {"order": int(order), "perplexity": float(all_), "perplexity_without_unk": float(known)}}]:
            return Baseline(order, all_, known)
    return None


def train(
    config: Config, resume: bool, stop: Callable[[], bool], restart: bool = False, ranks: Ranks | None = None
) -> Task[End]:
    """``training.loop.train``, which ends at once where `stop` says so before there is anything to keep; returns its
    last record.

    Raises:
        KeyboardInterrupt: `stop` said so before the training.
    """
    started, end = False, None
    for record in training.train(config, resume, stop, restart, ranks):
        started = started or isinstance(record, Start)
        if stop() and not started:
            raise KeyboardInterrupt
        if isinstance(record, End):
            end = record
        yield record
    assert end is not None
    return end


def write_vocabulary(config: Config, path: Path) -> Task[Vocabulary]:
    """``rnnlm vocab``: count the training text, once, and write the vocabulary to `path`; returns it. A model of
    subwords that was trained for it is written beside it."""
    train = prepare.training_text(config) or (yield from prepare.texts(config)).train
    vocabulary = yield from prepare.build_vocabulary(config, train)
    vocabulary.save(path)
    model = subword_file(config, path)
    if model is not None and isinstance(vocabulary.tokenizer, Subwords):
        atomic.write_bytes(model, vocabulary.tokenizer.data)
        yield Note(f"{model}: the model that cuts the text, for data.subwords")
    return vocabulary


def subword_file(config: Config, path: Path) -> Path | None:
    """The file of the model of subwords that ``rnnlm vocab`` trains, beside the vocabulary `path`; None: it trains
    none, or the vocabulary goes to a pipe."""
    wanted = config.data.subwords
    beside_a_file = path.is_file() or not path.exists()
    trains = wanted is not None and not isinstance(wanted, SubwordFile)
    return path.with_suffix(".model") if trains and beside_a_file else None


def write_embedding(config: Config, path: Path) -> Task[np.ndarray]:
    """``rnnlm embed``: make the initial embedding table and write it to `path` in word2vec's text format;
    returns it."""
    found = yield from prepare.texts(config)
    vocabulary = yield from prepare.build_vocabulary(config, found.train)
    encoded = yield from corpus.encode(found.train, vocabulary, cache.folder(), config.data.encoding_read)
    table = yield from vectors.make(encoded, vocabulary, config.embedding, config.train.seed, config.train.threads)
    pretrained.save(path, [vocabulary.spell(i) for i in range(len(vocabulary))], table)
    return table


def mix(
    model: LanguageModel,
    name: str,
    text: Path | Joined,
    state: str | None,
    initial_state: str,
    wanted: Tuned,
    tune: bool = False,
    encoding: str = UTF_8,
) -> Task[tuple[Mixture, Tuned]]:
    """Evaluate a model together with others. Yields records; returns a Mixture, and what it was made with.

    Args:
        name: the model's. state: "carry" or "reset"; None: as the model was trained.
        initial_state: of the others, as of `LanguageModel`.
        wanted: the others, ARPA files (``.arpa``, ``.arpa.gz``) or runs and model files of the same tokens; the cache
            and dynamic evaluation, None: without; the weights, None: by EM on the model's own validation text.
        tune: find the settings of the cache and of dynamic evaluation on that text, too.
        encoding: of `text`, a codec's name.

    Raises:
        InputError: several ranks; a model of other tokens; weights that are none; the validation text or, for dynamic
            evaluation, the training text is not there.
        TextError: an ARPA file that is damaged or of other tokens.
    """
    if model.ranks is not None:
        raise InputError(
            f"--with, --cache and --dynamic are computed by one process, and mpiexec has started {model.ranks.size}; "
            "leave it out"
        )
    state = state or model.config.state
    if wanted.weights is not None:
        checked(wanted.weights, 1 + len(wanted.others) + (wanted.cache is not None) + (wanted.dynamic is not None))
    predictors = list[Predictor]([NetworkPredictor(name, model.network)])
    for path in wanted.others:
        other = yield from _other(model, Path(path), initial_state, state)
        predictors.append(other)
    with tempfile.TemporaryDirectory(prefix="rnnlm-") as folder:
        read = yield from corpus.read(text, model.vocabulary, folder, encoding)
        yield from prepare.check_coverage(read)
        held_out = None
        if tune or wanted.weights is None:
            held_out = yield from _own_text(model, "valid", Path(folder), "give --weights" + " and no --tune" * tune)
        cache, dynamic = wanted.cache, wanted.dynamic
        if cache is not None:
            if tune and held_out is not None:
                cache = yield from tune_cache(model.network, held_out, state)
            predictors.append(CachePredictor(model.network, cache))
        if dynamic is not None:
            training = yield from _own_text(model, "train", Path(folder), "leave --dynamic out")
            predictors.append(learner := DynamicPredictor(model.network, training, dynamic))
            if tune and held_out is not None:
                dynamic = yield from tune_dynamic(learner, held_out, state)
        found = yield from evaluate_mixture(predictors, read, state, wanted.weights, held_out)
        predictors.clear()  # a mapped file cannot be removed on every system
        del read, held_out
    found = replace(found, together=replace(found.together, initial_state=model.initial_state))
    used = {"cache": cache, "dynamic": dynamic, "weights": [part.weight for part in found.parts]}
    return found, wanted.model_copy(update=used)


def _other(model: LanguageModel, path: Path, initial_state: str, state: str) -> Task[Predictor]:
    """Another model of the same tokens as a predictor; yields a Note where it was trained with another state."""
    if path.name.endswith((".arpa", ".arpa.gz")):
        return NGramPredictor(str(path), arpa.read(path, model.vocabulary))
    other = LanguageModel(model_file.load(path), model.network.threads, initial_state)
    own, theirs = (
        (words.unit, words.lowercase, words.tokenizer, words.tokens) for words in (model.vocabulary, other.vocabulary)
    )
    if own != theirs:
        raise InputError(f"{path}: its vocabulary is another one; only models of the same tokens can be mixed")
    if note := trained_otherwise(str(path), other.network, state):
        yield note
    return NetworkPredictor(str(path), other.network)


def _own_text(model: LanguageModel, name: Literal["train", "valid"], folder: Path, advice: str) -> Task[Corpus]:
    """The text of that name that the model was trained with, read into a folder of its own.

    Raises:
        InputError: it is not there.
    """
    path = own_texts.own_text(model.trained, name)
    if path is None:
        raise InputError(f"{model.trained.path}: its {own_texts.TEXTS[name]} text is not there (any more); {advice}")
    (folder / name).mkdir()
    return (yield from corpus.read(path, model.vocabulary, folder / name, model.config.data.encoding_read))


def _until(stop: Callable[[], bool], task: Task[_T]) -> Task[_T]:
    """`task`, ended by KeyboardInterrupt as soon as `stop` says so."""
    while True:
        try:
            record = next(task)
        except StopIteration as end:
            result: _T = end.value
            return result
        if stop():
            raise KeyboardInterrupt
        yield record
