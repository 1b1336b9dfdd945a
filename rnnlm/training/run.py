"""One training run: the network, its texts, its position in them, and the parts of ``training.loop``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.config import fingerprint
from rnnlm.config.schema import Config
from rnnlm.corpora.prepare import Corpora
from rnnlm.errors import NotFiniteError
from rnnlm.files.checkpoint import save_state
from rnnlm.files.model_file import STATE, initial_tensors
from rnnlm.files.tensors import check
from rnnlm.kernels import cpu
from rnnlm.network.network import Network, Trace, Window
from rnnlm.network.protocols import Array
from rnnlm.text.corpus import Corpus
from rnnlm.text.streams import ShuffledLines, Streams, equal_streams
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training import position as position_of
from rnnlm.training import windows
from rnnlm.training.averaging import Average
from rnnlm.training.distributed.group import Group
from rnnlm.training.loggers.loggers import Loggers
from rnnlm.training.models import Models
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.position import Position
from rnnlm.training.records import Checkpoint, End, RankSpeeds, Start, Updates
from rnnlm.training.schedule import learning_rate
from rnnlm.training.update import TrainingWindow, update
from rnnlm.version import __version__


class Run:
    """A network in training, its texts, and the position in them.

    Args:
        places: absolute paths of the configuration, by key.
        lowest: the lowest perplexity that any model can reach on these texts, None where nobody knows.
        streams: of the training text; None: ``train.batch`` of equal length.

    Attributes:
        group: the ranks that train it together, after `share_out`; None where this process trains it alone.
    """

    def __init__(
        self, config: Config, places: dict[str, str], corpora: Corpora, vocabulary: Vocabulary, lowest: float | None,
        network: Network, optimizer: Optimizer, streams: Streams | None = None,
    ) -> None:  # fmt: skip
        self.config, self.settings, self.places = config, config.train, places
        self.corpora, self.vocabulary, self.lowest = corpora, vocabulary, lowest
        self.network, self.optimizer = network, optimizer
        self.folder = Path(config.run)
        self.streams = streams or equal_streams(
            corpora.train, self.settings.batch, config.state, shuffled(config, corpora.train)
        )
        self.group: Group | None = None
        self.states = network.initial_states(self.streams.batch)
        self.at = Position(corpus=corpora.train.key)
        self.average = Average(self.settings, network.named)
        self.models = Models(config, vocabulary, network, self.average)
        # What the model begins texts with, from the last validation. Training and validation begin with 0.
        self.initial: list[Array] | None = None
        self.source: dict[str, Any] | None = None  # ``records.Source`` as plain data
        self.total_updates = windows.total_updates(self.settings, self.streams.length)
        self._ends, self._ends_of = windows.ends(self.settings, self.streams.length, 0), 0
        self.saved = 0  # updates made before the last checkpoint
        self.last_seconds = 0.0
        self.pass_loss = math.nan  # of the pass completed, nats a token
        self.end_perplexity: float | None = None  # where the end of training has the best model

    @property
    def ranks(self) -> int:
        """How many processes train it together."""
        return 1 if self.group is None else self.group.ranks.size

    def start(self) -> Start:
        """The record of the beginning, after which the run's files may change."""
        self.models.put_back()
        self.last_seconds = self.at.seconds
        parameters = sum(parameter.size for parameter in self.network.named.values())
        tokens = self.streams.length * self.settings.batch
        return Start(
            self.at.updates, self.at.epoch, self.settings.epochs,
            windows.updates_of_epoch(self.settings, self.streams.length, self.at.epoch), self.total_updates, tokens,
            parameters, self.network.threads, *self.network.products, __version__,
            fingerprint.sha256(self.config), self.corpora.hashes, self.ranks,
            cpu.NAME, datetime.now(UTC).isoformat(timespec="seconds"), self.source, self.corpora.files,
        )  # fmt: skip

    def update(self) -> float:
        """One update, with the gradient of the next window (``train.accumulate``: windows). Returns the gradient's
        norm."""
        at, stops, group = self.at, self._next_stops(), self.group
        if group is not None:
            group.begin_update(self)
        at.rate = learning_rate(self.settings, at.updates, self.total_updates, at.reductions)
        try:
            made = update(
                self.network, self.optimizer, self._windows(stops), len(stops), at.rate, self.average, self._passed,
                None if group is None else group.sum,
            )  # fmt: skip
        except NotFiniteError as error:
            if group is not None:
                group.give_up_update()
            raise NotFiniteError(self.explain(f"update {at.updates + 1}: {error}")) from None
        at.updates += 1
        if group is not None:
            group.end_update(self)
        return made.norm

    def _next_stops(self) -> NDArray[np.int64]:
        """The boundaries of the next update's windows."""
        self.streams.begin_epoch(self.at.epoch)
        if self._ends_of != self.at.epoch:
            self._ends = windows.ends(self.settings, self.streams.length, self.at.epoch)
            self._ends_of = self.at.epoch
        first = int(np.searchsorted(self._ends, self.at.offset, side="right"))
        return self._ends[first : first + self.settings.accumulate]

    def _windows(self, stops: NDArray[np.int64]) -> Iterator[TrainingWindow]:
        """The windows whose losses end before these steps, each from the states that the one before has left."""
        for number, stop in enumerate(stops.tolist()):
            at, settings = self.at, self.settings
            if at.offset == 0:  # not where the epoch ends: validation begins with the states of there
                self.states = self.network.initial_states(self.streams.batch)
            loss_steps = 1 if settings.loss == "last" else stop - at.offset
            part = self.streams.window(at.window, stop)
            mask = (settings.seed, at.updates * settings.accumulate + number)
            share = None if self.group is None else self.group.share
            window = Window(part.inputs, part.reset, self.states, share=share)
            yield TrainingWindow(window, part.targets, loss_steps, mask)

    def _passed(self, trace: Trace, loss: float) -> None:
        """Carry the states past a window, and count its losses."""
        at, settings, batch = self.at, self.settings, self.settings.batch
        stop = at.window + len(trace.window.inputs)
        next_window = max(at.window, stop - (settings.bptt - settings.stride))
        self.states = self.network.states_after(trace, next_window - at.window)
        counted = (1 if settings.loss == "last" else stop - at.offset) * batch
        at.tokens += (stop - at.offset) * batch
        at.window, at.offset = next_window, stop
        at.epoch_tokens += counted
        at.since_tokens += counted
        if self.group is None:
            self._add_loss(loss)
        else:
            self.group.keep_loss(loss)

    def _add_loss(self, loss: float) -> None:
        self.at.epoch_loss += loss
        self.at.since_loss += loss

    def add_losses_of_others(self) -> None:
        """Count the losses of all ranks so far."""
        if self.group is not None and self.group.ranks.rank == 0:
            for loss in self.group.losses():
                self._add_loss(loss)

    def progress(self, norm: float) -> Updates:
        """The record of the updates since the last one."""
        self.add_losses_of_others()
        at = self.at
        loss = at.since_loss / at.since_tokens
        speed = at.since_tokens / max(1e-9, at.seconds - self.last_seconds)
        self.last_seconds = at.seconds
        at.since_loss, at.since_tokens = 0.0, 0
        return Updates(at.updates, at.epoch, at.tokens, at.seconds, loss, as_perplexity(loss), speed, at.rate, norm)

    def end_epoch(self) -> bool:
        """Go to the beginning of the text where its end is reached; whether it was."""
        at = self.at
        if at.offset < self.streams.length:
            return False
        self.add_losses_of_others()
        at.epoch += 1
        at.offset = at.window = 0
        self.pass_loss = at.epoch_loss / at.epoch_tokens
        at.epoch_loss, at.epoch_tokens = 0.0, 0
        return True

    def all_states(self) -> list[Array]:
        """The states of all streams, those of other ranks too: each layer's B x S."""
        return self.states if self.group is None else self.group.states(self)

    def speeds(self) -> list[RankSpeeds]:
        """The speeds of the ranks since the last time; nothing where this process trains alone."""
        return [] if self.group is None else [self.group.speeds(self)]

    def validation_due(self) -> bool:
        """Whether it is time for a validation, inside an epoch too."""
        every = self.settings.validate.every_updates
        return every is not None and self.at.updates % every == 0

    def sample_due(self) -> bool:
        """Whether it is time for a text that the network writes."""
        every = self.settings.sample.every_updates
        return every is not None and self.at.updates % every == 0

    def finish_if_done(self) -> None:
        """Note in the position why training has ended, where it has."""
        at, settings = self.at, self.settings
        if settings.max_updates is not None and at.updates >= settings.max_updates:
            at.finished = "max_updates"
        elif at.epoch >= settings.epochs:
            at.finished = "epochs"
        elif settings.patience is not None and at.stale >= settings.patience:
            at.finished = "patience"
        elif settings.max_minutes is not None and at.seconds >= 60 * settings.max_minutes:
            at.finished = "max_minutes"

    def end(self) -> End:
        """The record of the end."""
        at = self.at
        best = at.best if self.end_perplexity is None else self.end_perplexity
        return End(at.updates, at.epoch, at.tokens, at.seconds, at.finished or "interrupted", best, self.config.run)

    def checkpoint_due(self, seconds: float) -> bool:
        """Whether it is time for a checkpoint. seconds: since the last one."""
        at, wanted = self.at, self.settings.checkpoint
        by_updates = wanted.every_updates is not None and at.updates % wanted.every_updates == 0
        by_minutes = wanted.every_minutes is not None and seconds >= 60 * wanted.every_minutes
        return bool(at.finished) or at.offset == 0 or by_updates or by_minutes

    def save(self, log: Loggers, due: bool = True) -> Checkpoint:
        """Write a checkpoint; without any validation so far the last weights are also the model.

        Args:
            due: a run that is never stopped writes it too: it is logged, and its model may stay.

        Raises:
            NotFiniteError: the weights are not; the checkpoint before stays.
        """
        try:
            return self._save(log, due)
        except NotFiniteError as error:
            raise NotFiniteError(self.explain(f"update {self.at.updates}: {error}")) from None

    def _save(self, log: Loggers, due: bool) -> Checkpoint:
        self.add_losses_of_others()
        if self.group is not None:
            self.group.average(self)
        states = self.all_states()
        at, path = self.at, self.folder / STATE
        record = Checkpoint(at.updates, at.epoch, at.tokens, at.seconds, str(path))
        if at.best is None:
            self.models.save(self.training_so_far(), self.initial)
        if due:
            # Logged before it is there: a record more is dropped when the run goes on, one less would be missing.
            log.add(record)
            self.models.save_numbered(at.updates, self.training_so_far(), self.initial)
        at.logged, at.averaged, self.saved = log.records, self.average.count, at.updates
        arrays = self.network.named | self._arrays(self.average.values, states) | initial_tensors(self.initial)
        save_state(path, self.config, self.places, self.vocabulary, arrays, asdict(at), self.training_so_far())
        if self.group is not None and due:
            self.group.same_weights(self)
        return record

    def restore(self, arrays: dict[str, Array], position: dict[str, Any]) -> None:
        """Restore a checkpoint, all but its weights: the opposite of `save`. Nothing is changed before all of it is
        known to be right; then what is used is taken out of `arrays`, so that it is not in memory twice.

        Raises:
            ValueError: something is missing, or cannot be.
        """
        at = position_of.read(position)
        context = self.settings.bptt - self.settings.stride
        same_text = at.corpus == self.at.corpus  # another one is refused by whoever knows its name
        if same_text and not (0 <= at.offset - at.window <= context and at.offset < self.streams.length):
            raise ValueError(f"the position {at.window}, {at.offset} is not in a text of {self.streams.length} steps")
        # asgd's average begins at some time; what has begun is there whole.
        begun = bool(self.average.values) or any(name.startswith("average.") for name in arrays)
        averaged = self.average.parameters if begun and self.settings.average is not None else {}
        wanted = self._arrays(averaged, self.states)
        check(arrays, {name: value.shape for name, value in wanted.items()}, self.network.dtype)
        for name in self.optimizer.moments:
            found = arrays[f"optimizer.{name}"]
            if name.startswith("v.") and found.size and found.min() < 0:
                raise ValueError(f"optimizer.{name}, a mean of squares, has numbers below 0")
        for name, moment in self.optimizer.moments.items():
            moment[:] = arrays.pop(f"optimizer.{name}")
        self.average.values = {name: arrays.pop(f"average.{name}") for name in averaged}
        self.states = [arrays.pop(f"carry.{layer}") for layer in range(len(self.states))]
        self.at, self.optimizer.updates, self.average.count = at, at.updates, at.averaged
        self.saved = at.updates
        if at.logged is None and at.offset == 0:
            at.validated = at.updates  # by an older version

    def _arrays(self, averaged: dict[str, Array], states: list[Array]) -> dict[str, Array]:
        """What a checkpoint holds beside the parameters.

        Args:
            averaged: the average of the weights, by their names; states: of all streams.
        """
        return (
            {f"optimizer.{name}": value for name, value in self.optimizer.moments.items()}
            | {f"average.{name}": value for name, value in averaged.items()}
            | {f"carry.{layer}": value for layer, value in enumerate(states)}
        )

    def training_so_far(self) -> dict[str, Any]:
        """What a model's header says of its training."""
        at = self.at
        return {
            "updates": at.updates,
            "epoch": at.epoch,
            "best_validation_perplexity": at.best,
            "best_epoch": at.best_epoch or None,
            "lowest_perplexity": self.lowest,
            "products": self.network.products.name,
            "texts": self.corpora.hashes,
            **({} if self.source is None else {"source": self.source}),
        }

    def explain(self, found: str) -> str:
        """The message of a NotFiniteError: what was found, and what to do."""
        state = self.folder / STATE
        kept = f"the last checkpoint is {state}" if state.exists() else "there was no checkpoint yet"
        return (
            f"{found}; {kept}; a lower train.learning_rate ({self.settings.learning_rate:g}) or train.clip_norm "
            f"({self.settings.clip_norm}) needs a new run: --restart, or another folder with --run"
        )


def shuffled(config: Config, text: Corpus) -> ShuffledLines | None:
    """The lines of a training text in the order of each epoch; None where it is its own."""
    return ShuffledLines(text, config.train.seed) if config.data.shuffle else None


def as_perplexity(loss: float) -> float:
    """e to the loss in nats a token; infinite where that is no number."""
    return math.exp(loss) if loss < 700 else math.inf
