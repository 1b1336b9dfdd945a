"""One training run: the network, its texts, its position in them, and the parts of ``training.loop``."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.schema import Config
from rnnlm.config.training import Plateau
from rnnlm.corpora.prepare import Corpora
from rnnlm.errors import NotFiniteError
from rnnlm.files.checkpoint import save_state
from rnnlm.files.model_file import MODEL, STATE, initial_tensors, save_model
from rnnlm.network.initial_state import LineEndStates
from rnnlm.network.network import Network, Trace, Window
from rnnlm.network.protocols import Array
from rnnlm.network.scoring import mean_loss
from rnnlm.text.streams import Streams, equal_streams
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training import windows
from rnnlm.training.averaging import Average
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.position import Position
from rnnlm.training.records import Checkpoint, End, Start, Updates, Valid
from rnnlm.training.schedule import learning_rate
from rnnlm.training.update import TrainingWindow, update


class Run:
    """A network in training, its texts, and the position in them.

    Args:
        lowest: the lowest perplexity that any model can reach on these texts, None where nobody knows.
    """

    def __init__(
        self, config: Config, corpora: Corpora, vocabulary: Vocabulary, lowest: float | None,
        network: Network, optimizer: Optimizer,
    ) -> None:  # fmt: skip
        self.config, self.settings = config, config.train
        self.corpora, self.vocabulary, self.lowest = corpora, vocabulary, lowest
        self.network, self.optimizer = network, optimizer
        self.folder = Path(config.run)
        self.streams: Streams = equal_streams(corpora.train, self.settings.batch, self.settings.state)
        self.states = network.initial_states(self.streams.batch)
        self.at = Position(corpus=corpora.train.key)
        self.average = Average(self.settings, network.named)
        # What the model begins texts with, from the last validation. Training and validation begin with 0.
        self.initial: list[Array] | None = None
        self.total_updates = windows.total_updates(self.settings, self.streams.length)
        self._ends, self._ends_of = windows.ends(self.settings, self.streams.length, 0), 0
        self._last_seconds = 0.0

    def start(self) -> Start:
        """The record of the beginning."""
        self._last_seconds = self.at.seconds
        parameters = sum(parameter.size for parameter in self.network.named.values())
        tokens = self.streams.length * self.streams.batch
        return Start(
            self.at.updates, self.at.epoch, self.settings.epochs,
            windows.updates_of_epoch(self.settings, self.streams.length, self.at.epoch), self.total_updates, tokens,
            parameters, self.network.threads,
        )  # fmt: skip

    def update(self) -> tuple[float, float]:
        """One update, with the gradient of the next window (``train.accumulate``: windows). Returns the gradient's
        norm and the learning rate."""
        at, stops = self.at, self._next_stops()
        rate = learning_rate(self.settings, at.updates, self.total_updates, at.reductions)
        try:
            made = update(
                self.network, self.optimizer, self._windows(stops), len(stops), rate, self.average, self._passed
            )
        except NotFiniteError as error:
            raise NotFiniteError(self._explain(error)) from None
        at.updates += 1
        return made.norm, rate

    def _next_stops(self) -> NDArray[np.int64]:
        """The boundaries of the next update's windows."""
        if self._ends_of != self.at.epoch:
            self._ends = windows.ends(self.settings, self.streams.length, self.at.epoch)
            self._ends_of = self.at.epoch
        first = int(np.searchsorted(self._ends, self.at.offset, side="right"))
        return self._ends[first : first + self.settings.accumulate]

    def _windows(self, stops: NDArray[np.int64]) -> Iterator[TrainingWindow]:
        """The windows whose losses end before these steps, each from the states that the one before has left."""
        for number, stop in enumerate(stops.tolist()):
            at, settings = self.at, self.settings
            loss_steps = 1 if settings.loss == "last" else stop - at.offset
            part = self.streams.window(at.window, stop)
            mask = (settings.seed, at.updates * settings.accumulate + number)
            yield TrainingWindow(Window(part.inputs, part.reset, self.states), part.targets, loss_steps, mask)

    def _passed(self, trace: Trace, loss: float) -> None:
        """Carry the states past a window, and count its losses."""
        at, settings, batch = self.at, self.settings, self.streams.batch
        stop = at.window + len(trace.window.inputs)
        next_window = max(at.window, stop - (settings.bptt - settings.stride))
        self.states = self.network.states_after(trace, next_window - at.window)
        counted = (1 if settings.loss == "last" else stop - at.offset) * batch
        at.tokens += (stop - at.offset) * batch
        at.window, at.offset = next_window, stop
        at.epoch_loss += loss
        at.epoch_tokens += counted
        at.since_loss += loss
        at.since_tokens += counted

    def progress(self, norm: float, rate: float) -> Updates:
        """The record of the updates since the last one."""
        at = self.at
        loss = at.since_loss / at.since_tokens
        speed = at.since_tokens / max(1e-9, at.seconds - self._last_seconds)
        self._last_seconds = at.seconds
        at.since_loss, at.since_tokens = 0.0, 0
        return Updates(at.updates, at.epoch, at.tokens, at.seconds, loss, _exp(loss), speed, rate, norm)

    def end_epoch(self, rate: float) -> Valid | None:
        """Validate, keep the best model, decide about the learning rate; None without a validation text."""
        at, settings = self.at, self.settings
        at.epoch += 1
        at.offset = at.window = 0
        self.states = self.network.initial_states(self.streams.batch)
        train_loss = at.epoch_loss / at.epoch_tokens
        at.epoch_loss, at.epoch_tokens = 0.0, 0
        if self.corpora.valid is None:
            return None
        began = time.monotonic()
        with self.average.in_place():
            carries = settings.state == "carry"
            line_ends = LineEndStates(self.network, self.vocabulary.line_end) if carries else None
            loss = mean_loss(self.network, self.corpora.valid, settings.state, line_ends)
        self.initial = line_ends.mean() if line_ends else None
        seconds = time.monotonic() - began
        perplexity = _exp(loss)
        best = at.best is None or perplexity < at.best
        schedule = settings.schedule
        if isinstance(schedule, Plateau) and at.best is not None:
            at.reductions += perplexity > at.best * (1 - schedule.min_improvement)
        if best:
            at.best, at.best_epoch, at.stale = perplexity, at.epoch, 0
            self._save_model()
        else:
            at.stale += 1
        self.average.begin_if_due(at.losses, loss)
        at.losses.append(loss)
        tokens = len(self.corpora.valid)
        self._last_seconds += seconds  # the speed is that of training
        return Valid(
            at.updates,
            at.epoch,
            at.tokens,
            at.seconds,
            loss,
            perplexity,
            tokens / max(1e-9, seconds),
            rate,
            _exp(train_loss),
            best,
        )

    def finish_if_done(self) -> None:
        """Note in the position why training has ended, where it has."""
        at, settings = self.at, self.settings
        if settings.max_updates is not None and at.updates >= settings.max_updates:
            at.finished = "max_updates"
        elif at.epoch >= settings.epochs:
            at.finished = "epochs"
        elif settings.patience is not None and at.stale >= settings.patience:
            at.finished = "patience"

    def end(self) -> End:
        """The record of the end."""
        at = self.at
        return End(
            at.updates, at.epoch, at.tokens, at.seconds, at.finished or "interrupted", at.best, self.config.run
        )

    def checkpoint_due(self, seconds: float) -> bool:
        """Whether it is time for a checkpoint. seconds: since the last one."""
        wanted = self.settings.checkpoint
        by_updates = wanted.every_updates is not None and self.at.updates % wanted.every_updates == 0
        return by_updates or (wanted.every_minutes is not None and seconds >= 60 * wanted.every_minutes)

    def save(self) -> Checkpoint:
        """Write a checkpoint; without any validation so far the last weights are also the model."""
        if self.at.best is None:
            self._save_model()
        path = self.folder / STATE
        self.at.averaged = self.average.count
        arrays = dict(self.network.named)
        arrays |= {f"optimizer.{name}": value for name, value in self.optimizer.moments.items()}
        arrays |= {f"average.{name}": value for name, value in self.average.values.items()}
        arrays |= {f"carry.{layer}": value for layer, value in enumerate(self.states)}
        arrays |= initial_tensors(self.initial)
        save_state(path, self.config, self.vocabulary, arrays, asdict(self.at), self._training())
        return Checkpoint(self.at.updates, self.at.epoch, self.at.tokens, self.at.seconds, str(path))

    def restore(self, arrays: dict[str, Array], position: dict[str, Any]) -> None:
        """Restore a checkpoint, all but its weights: the opposite of `save`.

        Raises:
            KeyError, TypeError: something is missing; ValueError: an array has another shape.
        """
        at = Position(**position)
        for name, moment in self.optimizer.moments.items():
            found = arrays[f"optimizer.{name}"]
            if found.shape != moment.shape:
                raise ValueError(f"optimizer.{name} has the shape {found.shape}, not {moment.shape}")
            moment[:] = found
        if any(name.startswith("average.") for name in arrays):
            self.average.values = {name: arrays[f"average.{name}"] for name in self.network.named}
        self.states = [arrays[f"carry.{layer}"] for layer in range(len(self.network.cells))]
        self.at, self.optimizer.updates, self.average.count = at, at.updates, at.averaged

    def _save_model(self) -> None:
        with self.average.in_place():
            save_model(
                self.folder / MODEL, self.config, self.vocabulary, self.network.named, self._training(), self.initial
            )

    def _training(self) -> dict[str, Any]:
        at = self.at
        return {
            "updates": at.updates,
            "epoch": at.epoch,
            "best_validation_perplexity": at.best,
            "best_epoch": at.best_epoch or None,
            "lowest_perplexity": self.lowest,
        }

    def _explain(self, error: NotFiniteError) -> str:
        state = self.folder / STATE
        kept = f"the last checkpoint is {state}" if state.exists() else "there was no checkpoint yet"
        return (
            f"update {self.at.updates + 1}: {error}; {kept}; lower train.learning_rate "
            f"({self.settings.learning_rate:g}) or train.clip_norm ({self.settings.clip_norm})"
        )


def _exp(loss: float) -> float:
    return math.exp(loss) if loss < 700 else math.inf
