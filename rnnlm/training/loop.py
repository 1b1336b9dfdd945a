"""The training loop: truncated backpropagation through time.

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

from rnnlm.config.schema import Config
from rnnlm.corpora.prepare import Corpora
from rnnlm.files import lock, run_folder
from rnnlm.training.start import start
from rnnlm.work import Task


def train(
    config: Config, resume: bool = False, stop: Callable[[], bool] = lambda: False, restart: bool = False
) -> Task[Corpora]:
    """Train a network. Yields records as it goes.

    Args:
        resume: go on with the run that the folder holds; restart: throw it away, once everything else is known to be
            right.
        stop: asked after every update; True ends the run with a checkpoint.

    Returns:
        Corpora, the encoded texts (a generator's return value).

    Raises:
        InputError: something of the configuration, the texts or the run's folder that the user can mend.
        NotFiniteError: the loss or the gradient is not finite; the last checkpoint stays.
        ResourceError: too little memory or disk.
    """
    run_folder.check(Path(config.run))
    with lock.held(Path(config.run)):
        return (yield from _train(config, resume, stop, restart))


def _train(config: Config, resume: bool, stop: Callable[[], bool], restart: bool) -> Task[Corpora]:
    run, log = yield from start(config, resume, restart)
    yield run.start()
    saved = time.monotonic()
    started = saved - run.at.seconds
    try:
        while not run.at.finished:
            norm, rate = run.update()
            run.at.seconds = time.monotonic() - started
            if run.at.updates % config.train.log.every_updates == 0:
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
