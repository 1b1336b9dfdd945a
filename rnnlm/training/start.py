"""The start of a run: a new one, or one that is resumed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rnnlm import vectors
from rnnlm.config import paths as config_paths
from rnnlm.config.embedding import File
from rnnlm.config.schema import Config
from rnnlm.config.training import Asgd
from rnnlm.corpora import prepare
from rnnlm.corpora.prepare import Corpora, Texts
from rnnlm.errors import ConfigError, InputError, ModelError
from rnnlm.files import run_folder
from rnnlm.files.checkpoint import State
from rnnlm.files.log import Log, read
from rnnlm.files.model_file import Trained
from rnnlm.files.run_folder import TEXT, earlier_run
from rnnlm.kernels.matmul.choice import before_it_was_kept, choose
from rnnlm.kernels.parallel.thread_pool import threads_to_use
from rnnlm.network import build
from rnnlm.network.parameters import Parameters, unflatten
from rnnlm.ranks.ranks import Ranks
from rnnlm.sampling import prompts
from rnnlm.text import files
from rnnlm.text.joined import matching
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training import freezing, from_model, memory, processes, schedule, windows
from rnnlm.training.distributed.group import Group, first_streams
from rnnlm.training.loggers import loggers
from rnnlm.training.loggers.loggers import Loggers
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.run import Run
from rnnlm.work import Note, Task

# Of several, so many are named on the console; the log has all.
_FILES = 10


def start(config: Config, resume: bool, restart: bool, ranks: Ranks | None = None) -> Task[tuple[Run, Loggers]]:
    """Prepare a new run, or resume one that was stopped. Whatever can be wrong is found before anything is
    written. ranks: those that train it together, of which this is the leader."""
    if resume and restart:
        raise InputError("--resume goes on with a run, --restart throws it away; give one of them")
    loggers.check(config.train.log)
    if ranks is not None:
        first_streams(config.train.batch, ranks.size)
        if getattr(config.model.output, "variance_regularization", 0) > 0:
            raise ConfigError(
                "model.output.variance_regularization: the mean of log Z is one process's; train it without mpiexec"
            )
    folder = Path(config.run)
    old = None if restart else earlier_run(config, resume)
    if resume and old is None:
        yield Note(f"{folder}: no checkpoint yet, so the run starts from the beginning")
    before = (old.trained.training.get("products") or before_it_was_kept()) if old else None
    products = choose(config.train.precision, before)
    config, paths, corpora = yield from _texts(config, old)
    vocabulary = old.trained.vocabulary if old else (yield from prepare.build_vocabulary(config, paths.train))
    if config.train.sample.every_updates is not None:
        prompt = prompts.encode(config.train.sample.prompt, vocabulary, "train.sample.prompt", any_bytes=False)
        if prompt.unknown is not None:
            yield prompt.unknown
    if corpora is None:
        corpora = yield from prepare.encode(config, paths, vocabulary)
    yield from _told(corpora)
    config = build.settled(config, len(vocabulary))
    freezing.check(config, build.shapes(config, len(vocabulary)))
    model = None if old else from_model.read(config, vocabulary)
    if old:
        _check_texts(old.trained, paths, corpora)
    need = memory.needs(config, len(vocabulary), corpora.tokens, threads_to_use(config.train.threads))
    held = [*old.trained.parameters.values(), *old.arrays.values()] if old else []
    memory.check(config, need, sum(array.nbytes for array in held))
    windows.check_warmup(config.train, len(corpora.train) // config.train.batch)
    if old is None:
        parameters = yield from _first_parameters(config, vocabulary, corpora, model)
    else:
        parameters = unflatten(old.trained.parameters)
    if products.name == "float32" != config.train.precision:
        yield Note(f"training in float32, not bfloat16: {products.why}", warning=True)
    yield from _without_effect(config)
    threads = None if ranks is None else ranks.threads_for(config.train.threads)
    network = build.build(config, parameters, threads, products=products, words=vocabulary)
    spelled = run_folder.spelled_as_before(config, old.trained) if old else config
    places = config_paths.absolute(config)
    run = Run(spelled, places, corpora, vocabulary, paths.lowest, network, Optimizer(config.train, network.named))
    if model is not None:
        run.source = asdict(model.source)
    if old is not None:
        yield from _restore(run, old, paths)
    if ranks is not None and not run.at.finished:
        group = Group(ranks, config.train)
        group.share_out(run)
        yield Note(group.described())
    if restart:
        run_folder.remove(config)
    if config.data.train is None and run_folder.keep_texts(folder, paths.single):
        yield Note(f"{folder / TEXT}: the texts of this run")
    run_folder.write_config(config)
    run_folder.write_vocabulary(folder, vocabulary)
    log = Log(folder, run.at.updates, run.at.logged)
    made = Loggers(folder, log, config.train.log, run.at.updates)
    if run.at.updates and not run.at.finished and (change := processes.change(run, read(folder))) is not None:
        made.add(change)
        yield Note(f"{folder}: {processes.described(change, config.train.batch)}")
    return run, made


def _without_effect(config: Config) -> Iterator[Note]:
    """Warnings of settings that do nothing here."""
    average, patience = config.train.average, config.train.patience
    if isinstance(average, Asgd) and patience is not None and patience <= average.patience:
        yield Note(
            f"train.patience: {patience} will end the training before an average of the weights begins, which waits "
            f"for train.average.patience: {average.patience} validations; raise train.patience, or set it to null",
            warning=True,
        )
    dropout = config.model.dropout
    if len(config.model.sizes) == 1 and dropout.between not in (0, dropout.input):  # all three are one bare number
        yield Note(f"model.dropout.between: {dropout.between:g} drops nothing, as there is one layer", warning=True)


def _first_parameters(
    config: Config, vocabulary: Vocabulary, corpora: Corpora, model: from_model.Model | None
) -> Task[Parameters]:
    """The parameters of a new run, and the vocabulary's classes: initialized, or those of the model that it starts
    from."""
    vocabulary.classes = yield from from_model.classes(config, corpora.train, vocabulary, model)
    settings, table = config.train, None
    if model is None or (model.source.new and isinstance(config.embedding.init, File)):
        table = yield from vectors.make(corpora.train, vocabulary, config.embedding, settings.seed, settings.threads)
    if model is not None:
        yield from model.notes()
        return from_model.parameters(config, model, table)
    assert table is not None
    return build.init(config, len(vocabulary), table)


def _restore(run: Run, old: State, paths: Texts) -> Task[None]:
    """Take a new run to where a checkpoint was; says from where it goes on, and what a longer plan changes.

    Raises:
        ModelError: the checkpoint is not one of this run and text.
    """
    folder, settings = old.trained.path.parent, run.settings
    try:
        run.restore(old.arrays, old.position)
    except ValueError as error:
        raise ModelError(f"{old.trained.path}: not a state to go on from: {error}") from None
    run.initial, run.source = old.trained.initial, old.trained.training.get("source")
    if run.at.corpus != run.corpora.train.key:  # by an older version, which kept no hashes of the texts
        raise ModelError(
            f"{files.name(paths.train)}: not the text that {folder} was trained on; take another folder with --run"
        )
    # The text may be the same and the plan longer: more epochs than before end nothing.
    run.at.finished = ""
    run.finish_if_done()
    if run.at.finished:
        yield Note(
            f"{folder}: complete after update {run.at.updates:,}; a larger train.{run.at.finished} would go on "
            "from there"
        )
        return
    yield Note(f"{folder}: goes on after update {run.at.updates:,} (epoch {run.at.epoch + 1})")
    before = windows.total_updates(old.trained.config.train, run.streams.length)
    rate_before, rate = (
        schedule.learning_rate(settings, run.at.updates, total, run.at.reductions)
        for total in (before, run.total_updates)
    )
    if rate_before != rate:
        yield Note(
            f"{folder}: the schedule now has {run.total_updates:,} updates instead of {before:,}, so the "
            f"learning rate goes on at {rate:.3g} instead of {rate_before:.3g}",
            warning=True,
        )


def _kept_texts(config: Config, trained: Trained) -> Texts | None:
    """The texts that lie in the run's folder, where it keeps all of them."""
    if config.data.train is not None or not trained.texts:
        return None
    found = prepare.in_folder(Path(config.run) / TEXT, trained.training.get("lowest_perplexity"))
    kept = {name: path for name, path in found.single.items() if path.exists()}
    same = {name: files.sha256(path) for name, path in kept.items()} == trained.texts
    return found if same else None


def _texts(config: Config, old: State | None) -> Task[tuple[Config, Texts, Corpora | None]]:
    """The texts of the run, and the configuration with the names of their files.

    Returns too, where the run goes on and some file is no longer there, what is kept of the texts in the cache.
    """
    if old is not None and (found := _kept_texts(config, old.trained)):
        return config, found, None
    missing = _missing(config, old.trained) if old is not None else None
    if old is not None and missing is not None:
        trained, (key, path) = old.trained, missing
        before = config_paths.replaced(trained.config, trained.paths).data.model_dump()
        config = prepare.with_texts(config, {name: before[name] for name in prepare.NAMES})
        kept = prepare.kept(config, trained.texts, trained.vocabulary) if config.data.train is not None else None
        if kept is None:
            raise ModelError(
                f"{path}: no such file; where the same text lies elsewhere now, --set {key}=PATH goes on with it"
            )
        yield Note(f"{path}: no such file; the run goes on with what is kept of its texts in the cache")
        return config, *kept
    found = yield from prepare.texts(config)
    return prepare.spelled_out(config), found, None


def _missing(config: Config, trained: Trained) -> tuple[str, str] | None:
    """The key and the path of a text's file that is no longer there: it is named, or was one of what a folder or a
    pattern stands for."""
    for name in config_paths.NAMES:
        key, named = f"data.{name}", config.data.named(name)
        now = [os.path.abspath(path) for text, _ in named for path in matching(text)]
        was = [path for place, path in trained.paths.items() if place == key or place.startswith(f"{key}.")]
        expected = [*now, *was] if set(now) < set(was) else now
        if gone := [path for path in expected if not os.path.exists(path)]:
            return key, gone[0]
    return None


def _told(corpora: Corpora) -> Task[None]:
    """How many tokens came from each of several files."""
    for name, called in prepare.CALLED.items():
        text = getattr(corpora, name)
        each = [
            f"{file.name} {f'{file.weight} x ' if file.weight > 1 else ''}{file.counts.tokens // file.weight:,}"
            for file in (text.files if text is not None else ())
        ]
        if each:
            more = f" and {len(each) - _FILES:,} more files" if len(each) > _FILES else ""
            yield Note(f"{called} text, {len(text):,} tokens: {', '.join(each[:_FILES])}{more}")


def _check_texts(trained: Trained, paths: Texts, corpora: Corpora) -> None:
    """The texts are those of the run.

    Raises:
        ModelError: one has another content.
    """
    for name, wanted in trained.texts.items():
        if corpora.hashes.get(name) != wanted:
            raise ModelError(
                f"{paths.by_name.get(name)}: not the text that {trained.path.parent} was trained with; "
                "take another folder with --run"
            )
