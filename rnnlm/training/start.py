"""The start of a run: a new one, or one that is resumed."""

from __future__ import annotations

from pathlib import Path

from rnnlm import vectors
from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.corpora import prepare
from rnnlm.errors import ModelError
from rnnlm.files import atomic, run_folder
from rnnlm.files.log import Log
from rnnlm.files.run_folder import CONFIG, VOCABULARY, earlier_run
from rnnlm.kernels.parallel.thread_pool import threads_to_use
from rnnlm.network import build
from rnnlm.network.parameters import unflatten
from rnnlm.training import memory, schedule, windows
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.run import Run
from rnnlm.work import Note, Task


def start(config: Config, resume: bool, restart: bool) -> Task[tuple[Run, Log]]:
    """Prepare a new run, or resume one that was stopped."""
    folder = Path(config.run)
    old = None if restart else earlier_run(config, resume)
    if resume and old is None:
        yield Note(f"{folder}: no checkpoint yet, so the run starts from the beginning")
    paths = yield from prepare.texts(config)
    vocabulary = old.trained.vocabulary if old else (yield from prepare.build_vocabulary(config, paths.train))
    corpora = yield from prepare.encode(config, paths, vocabulary)
    need = memory.needs(config, len(vocabulary), corpora.tokens, threads_to_use(config.train.threads))
    memory.check(config, need)
    windows.check_warmup(config.train, len(corpora.train) // config.train.batch)
    if restart:
        run_folder.remove(config)
    if old is None:
        settings = config.train
        table = yield from vectors.make(corpora.train, vocabulary, config.embedding, settings.seed, settings.threads)
        parameters = build.init(config, len(vocabulary), table)
    else:
        parameters = unflatten({name: value.copy() for name, value in old.trained.parameters.items()})
    network = build.build(config, parameters)
    if config.train.precision == "bfloat16" and not network.bfloat16:
        yield Note("this processor has no products of bfloat16 (AVX512-BF16): training in float32", warning=True)
    run = Run(config, corpora, vocabulary, paths.lowest, network, Optimizer(config.train, network.named))
    if old is not None:
        try:
            run.restore(old.arrays, old.position)
        except (KeyError, TypeError) as error:
            raise ModelError(f"{old.trained.path}: not a state to go on from: {error} is missing") from None
        except ValueError as error:
            raise ModelError(f"{old.trained.path}: not a state to go on from: {error}") from None
        if run.at.corpus != corpora.train.key:
            raise ModelError(
                f"{paths.train}: not the text that {folder} was trained on; take another folder with --run"
            )
        # The text may be the same and the plan longer: more epochs than before end nothing.
        run.at.finished = ""
        run.finish_if_done()
        if run.at.finished:
            yield Note(
                f"{folder}: complete after update {run.at.updates:,}; a larger train.{run.at.finished} would go on "
                "from there"
            )
        else:
            yield Note(f"{folder}: goes on after update {run.at.updates:,} (epoch {run.at.epoch + 1})")
            before = windows.total_updates(old.trained.config.train, run.streams.length)
            rates = [
                schedule.learning_rate(config.train, run.at.updates, total, run.at.reductions)
                for total in (before, run.total_updates)
            ]
            if rates[0] != rates[1]:
                yield Note(
                    f"{folder}: the schedule now has {run.total_updates:,} updates instead of {before:,}, so the "
                    f"learning rate goes on at {rates[1]:.3g} instead of {rates[0]:.3g}",
                    warning=True,
                )
    atomic.write_text(folder / CONFIG, config_file.dump(config))
    vocabulary.save(folder / VOCABULARY)
    return run, Log(folder, run.at.updates, run.at.logged)
