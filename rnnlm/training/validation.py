"""Validation of a run: at epochs' ends, inside them, and where training ends."""

from __future__ import annotations

import math
import time

from rnnlm.config.training import Plateau
from rnnlm.errors import NotFiniteError
from rnnlm.network.initial_state import LineEndStates
from rnnlm.network.protocols import Array
from rnnlm.network.scoring import mean_loss, worse_than_even
from rnnlm.text.corpus import Corpus
from rnnlm.training.records import Valid
from rnnlm.training.run import Run, as_perplexity
from rnnlm.work import Note, Progress, Task


def validate(run: Run) -> Task[list[Valid | Note]]:
    """Validate, keep the best model, decide about the learning rate.

    Yields Progress; returns what there is to tell: nothing without a validation text.

    Raises:
        NotFiniteError: the perplexity is not finite.
    """
    at, schedule = run.at, run.settings.schedule
    if run.corpora.valid is None:
        return []
    found, run.initial = yield from _score(run, run.corpora.valid)
    if isinstance(schedule, Plateau) and at.best is not None:
        at.reductions += found.perplexity > at.best * (1 - schedule.min_improvement)
    if found.best:
        at.best, at.best_epoch, at.stale = found.perplexity, at.epoch, 0
        run.models.save(run.training_so_far(), run.initial)
    else:
        at.stale += 1
    run.average.begin_if_due(at.losses, found.loss)
    at.losses.append(found.loss)
    at.validated = at.updates
    return _told(run, found)


def validate_at_the_end(run: Run) -> Task[list[Valid | Note]]:
    """Validate where training has ended inside an epoch, and leave this model where it is the best.

    The position stays as it is, for a run that goes on from here was not validated here. Otherwise as `validate`.
    """
    at = run.at
    if run.corpora.valid is None or at.validated == at.updates:
        return []
    found, initial = yield from _score(run, run.corpora.valid)
    if found.best:
        run.end_perplexity = found.perplexity
        own = {"best_validation_perplexity": found.perplexity, "best_epoch": at.epoch or None}
        save = run.models.save if at.best is None else run.models.save_at_the_end
        save(run.training_so_far() | own, initial)
    return _told(run, found)


def _score(run: Run, text: Corpus) -> Task[tuple[Valid, list[Array] | None]]:
    """The validation, and the states that a model of these weights begins texts with."""
    at, began = run.at, time.monotonic()
    run.add_losses_of_others()
    if run.group is not None:
        run.group.average(run)
    yield Progress("validating", 0, len(text), "tokens")
    carries = run.config.state == "carry"
    # A network that carries its state has hardly ever been in 0, from where it may find states that it never trained.
    layers = run.all_states()[: len(run.network.cells)]
    begin = [state.mean(axis=0) for state in layers] if carries else run.network.initial
    with run.average.in_place(), run.network.beginning_with(begin):
        line_ends = LineEndStates(run.network, run.vocabulary.line_end) if carries else None
        loss = mean_loss(run.network, text, run.config.state, line_ends)
    yield Progress("validating", len(text), len(text), "tokens")
    perplexity = as_perplexity(loss)
    if not math.isfinite(perplexity):
        what = "perplexity is too large for a number: the " * math.isfinite(loss)
        found = f"validation after update {at.updates}: not finite: the {what}loss is {loss:g} nats a token"
        raise NotFiniteError(run.explain(found))
    seconds = time.monotonic() - began
    run.last_seconds += seconds  # the speed is that of training
    at.seconds += seconds
    pass_loss = at.epoch_loss / at.epoch_tokens if at.epoch_tokens else run.pass_loss
    initial = line_ends.mean() if line_ends else None
    valid = Valid(
        at.updates, at.epoch, at.tokens, at.seconds, loss, perplexity, len(text) / max(1e-9, seconds), at.rate,
        as_perplexity(pass_loss), at.best is None or perplexity < at.best, at.offset / run.streams.length,
    )  # fmt: skip
    return valid, initial


def _told(run: Run, found: Valid) -> list[Valid | Note]:
    """A validation with what is to be said of it."""
    worse = worse_than_even("validation perplexity", found.perplexity, len(run.vocabulary))
    return [found] if worse is None else [found, Note(worse, warning=True)]
