"""Truncated backpropagation through time: the loop.

The training text is cut into B streams. An update takes the next ``bptt_stride`` tokens of each: the window reaches
``bptt`` steps back from their end, starts from the hidden state that stood there, and has a loss for the new tokens
only (``loss: last``: for the last one), so every token's loss counts once and its gradient goes at least ``bptt -
bptt_stride`` and at most ``bptt - 1`` steps back (Williams & Peng 1990, "BPTT(h; h')").

    J = sum over the new steps of J(t), averaged over the B streams;  w := update(w, clip(dJ/dw), learning rate)

So the gradient is a sum over time, and with the usual sgd recipes (Zaremba et al. 2014: learning rate 1, clip 5)
means what it means there; it is not divided by the number of steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.corpora import prepare
from rnnlm.errors import ModelError
from rnnlm.files import atomic as storage
from rnnlm.files import checkpoint, run_folder
from rnnlm.files.run_folder import Log, earlier_run
from rnnlm.kernels.parallel.thread_pool import threads_to_use
from rnnlm.network import network as model
from rnnlm.network.network import Network
from rnnlm.training import memory
from rnnlm.training.optimizers.rules import Optimizer
from rnnlm.training.run import Run
from rnnlm.work import Note, Task


def train(
    config: Config, resume: bool = False, stop: Callable[[], bool] = lambda: False, restart: bool = False
) -> Task[prepare.Corpora]:
    """Train a network. Yields records as it goes.

    Args:
        resume: go on with the run that the folder holds; restart: throw it away, once everything else is known to be
            right.
        stop: asked after every update; True ends the run with a checkpoint.

    Returns:
        prepare.Corpora, the encoded texts (a generator's return value).

    Raises:
        InputError: something of the configuration, the texts or the run's folder that the user can mend.
        NotFiniteError: the loss or the gradient is not finite; the last checkpoint stays.
        ResourceError: too little memory or disk.
    """
    run, log = yield from start(config, resume, restart)
    yield run.start()
    saved = time.monotonic()
    started = saved - run.at.seconds
    try:
        while not run.at.finished:
            norm, rate = run.update()
            run.at.seconds = time.monotonic() - started
            if run.at.step % config.train.log.every_updates == 0:
                yield log.add(run.progress(norm, rate))
            if run.at.offset == run.streams.length:
                valid = run.end_epoch(rate)
                run.at.seconds = time.monotonic() - started
                if valid:
                    yield log.add(valid)
            run.finish_if_done()
            interrupted = not run.at.finished and stop()
            if run.at.finished or interrupted or run.at.offset == 0 or run.checkpoint_due(time.monotonic() - saved):
                saved = time.monotonic()
                yield log.add(run.save())
            if interrupted:
                break
        yield log.add(run.end())
    finally:
        log.close()
    return run.corpora


def start(config: Config, resume: bool, restart: bool) -> Task[tuple[Run, Log]]:
    """Prepare a new run, or take up one that was stopped."""
    folder = Path(config.run)
    old = None if restart else earlier_run(config, resume)
    if resume and old is None:
        yield Note(f"{folder}: no checkpoint yet, so the run starts from the beginning")
    paths = yield from prepare.texts(config)
    vocabulary = old.vocabulary if old else (yield from prepare.build_vocabulary(config, paths.train))
    corpora = yield from prepare.encode(config, paths, vocabulary)
    need = memory.needs(config, len(vocabulary), corpora.tokens, threads_to_use(config.train.threads))
    memory.check(config, need)
    if restart:
        run_folder.remove(config)
    if old is None:
        table = yield from prepare.embedding_table(config, corpora.train, vocabulary)
        parameters = model.init(config, len(vocabulary), table)
    else:
        parameters = {name: value.copy() for name, value in old.parameters.items()}
    network = Network(config, parameters)
    if config.train.precision == "bfloat16" and not network.bfloat16:
        yield Note("this processor has no products of bfloat16 (AVX512-BF16): training in float32", warning=True)
    run = Run(config, corpora, vocabulary, paths.lowest, network, Optimizer(config.train, parameters))
    if old is not None:
        run.states, run.at = checkpoint.restore(old, run.optimizer, run.average)
        if run.at.corpus != corpora.train.key:
            raise ModelError(
                f"{paths.train}: not the text that {folder} was trained on; take another folder with --run"
            )
        # The text may be the same and the plan longer: more epochs than before end nothing.
        run.at.finished = ""
        run.finish_if_done()
        if run.at.finished:
            yield Note(f"{folder}: complete after step {run.at.step:,}; more train.epochs would go on from there")
        else:
            yield Note(f"{folder}: goes on after step {run.at.step:,} (epoch {run.at.epoch + 1})")
    storage.write_text(folder / "config.yaml", config_file.dump(config))
    vocabulary.save(folder / "vocab.txt")
    return run, Log(folder, run.at.step)
