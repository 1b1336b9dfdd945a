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

import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rnnlm.config.schema import Config
from rnnlm.corpora.prepare import Corpora
from rnnlm.files import lock, run_folder
from rnnlm.ranks.ranks import Ranks
from rnnlm.training import compile_ahead
from rnnlm.training.loggers.loggers import Loggers
from rnnlm.training.records import TASK, RankSpeeds, Valid
from rnnlm.training.run import Run
from rnnlm.training.samples import sample
from rnnlm.training.start import start
from rnnlm.training.validation import validate, validate_at_the_end
from rnnlm.work import Note, Progress, Task

_SECONDS = 1.0  # between two records of progress, where the log's are further apart


def train(
    config: Config,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
    restart: bool = False,
    ranks: Ranks | None = None,
) -> Task[Corpora]:
    """Train a network. Yields records as it goes.

    Args:
        resume: go on with the run that the folder holds; restart: throw it away, once everything else is known to be
            right.
        stop: asked after every update; True ends the run with a checkpoint.
        ranks: those that train it together, of which this is the leader; None: this process alone.

    Returns:
        Corpora, the encoded texts (a generator's return value).

    Raises:
        InputError: something of the configuration, the texts or the run's folder that the user can mend.
        NotFiniteError: the loss or the gradient is not finite; the last checkpoint stays.
        ResourceError: too little memory or disk.
    """
    run_folder.check(Path(config.run))
    with lock.held(Path(config.run)):
        return (yield from _train(config, resume, stop, restart, ranks))


def _train(
    config: Config, resume: bool, stop: Callable[[], bool], restart: bool, ranks: Ranks | None
) -> Task[Corpora]:
    run, log = yield from start(config, resume, restart, ranks)
    try:
        if ranks is None:
            compile_ahead.begin(run.network)
        begin = run.start()
        yield begin if run.at.updates else log.add(begin)
        if run.source is not None and run.at.updates == 0:  # what the model is worth here, and training has to beat
            yield from _logged(log, (yield from validate(run)))
        saved = time.monotonic()
        began, told, interrupted = saved - run.at.seconds, -math.inf, False
        while not (run.at.finished or interrupted):
            norm, records = run.update(), list[Any]()
            compile_ahead.end()
            run.at.seconds = time.monotonic() - began
            if run.at.updates % config.train.log.every_updates == 0:
                records.append(log.add(run.progress(norm)))
            if run.end_epoch() or run.validation_due():
                records += _logged(log, [*run.speeds(), *(yield from validate(run))])
            if run.sample_due():
                records.append(log.add(sample(run)))
            run.finish_if_done()
            interrupted = not run.at.finished and stop()
            if (due := run.checkpoint_due(time.monotonic() - saved)) or interrupted:
                saved = time.monotonic()
                records.append(run.save(log, due))
            records += log.problems()
            if not records and time.monotonic() - told > _SECONDS:
                records.append(Progress(TASK, run.at.updates, run.total_updates, "updates"))
            if records:
                told = time.monotonic()
                yield from _saved_if_dropped(run, log, records)
        yield from _logged(log, (yield from validate_at_the_end(run)))
        end = log.add(run.end())
        yield from log.problems()
        yield end
    finally:
        compile_ahead.end()
        log.close()
    return run.corpora


def _logged(log: Loggers, found: Sequence[RankSpeeds | Valid | Note]) -> list[RankSpeeds | Valid | Note]:
    return [record if isinstance(record, Note) else log.add(record) for record in found]


def _saved_if_dropped(run: Run, log: Loggers, records: Sequence[Any]) -> Iterator[Any]:
    """Yield records. Where their reader gives up (an error of its own, Ctrl-C in it) the run is saved first: here,
    and not in the middle of an update, it is whole."""
    try:
        yield from records
    except GeneratorExit:
        if run.saved != run.at.updates:
            run.save(log, due=False)
        raise
