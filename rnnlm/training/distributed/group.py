"""The ranks that train one run: the streams of each, and what they do together.

With ``train.distributed.every`` k > 1 each rank makes k updates with the gradient of its own streams, then all
average their weights and moments (local SGD; Stich 2019, "Local SGD converges fast and communicates little",
algorithm 1). A rank's weight in the mean is its share of the streams.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnlm.config.schema import Config
from rnnlm.config.training import Train
from rnnlm.errors import ConfigError
from rnnlm.network.protocols import Array
from rnnlm.network.share import Share
from rnnlm.ranks.ranks import Order, Ranks
from rnnlm.text.corpus import Corpus
from rnnlm.text.streams import Streams
from rnnlm.training.distributed.gradient_sum import GradientSum
from rnnlm.training.position import Position
from rnnlm.training.records import RankSpeeds

if TYPE_CHECKING:
    from rnnlm.training.run import Run


def first_streams(batch: int, ranks: int) -> list[int]:
    """The first stream of each rank, and `batch`: the streams are shared out evenly.

    Raises:
        ConfigError: fewer streams than ranks.
    """
    if batch < ranks:
        raise ConfigError(
            f"train.batch: found {batch}, and mpiexec has started {ranks} ranks; take at least a stream for each"
        )
    return [batch * rank // ranks for rank in range(ranks + 1)]


class Given(NamedTuple):
    """What the leader sends a follower of its share of a run.

    corpus: the tokens that its streams read; starts, stops: of the streams, in it; states: before the next window.
    """

    config: Config
    shapes: dict[str, tuple[int, ...]]
    corpus: Corpus
    starts: Array
    stops: Array
    states: list[Array]
    position: Position
    products: str


class Group:
    """The ranks of a run.

    Attributes:
        share: the streams of this rank.
        sum: adds up the gradients; None where each rank makes updates of its own.
    """

    def __init__(self, ranks: Ranks, settings: Train) -> None:
        self.ranks, self.settings = ranks, settings
        self.firsts = first_streams(settings.batch, ranks.size)
        first, last = self.firsts[ranks.rank : ranks.rank + 2]
        wanted = settings.distributed
        self.alone = wanted.every > 1
        self.share = Share(first, settings.batch, last - first if self.alone else settings.batch)
        self.sum = None if self.alone else GradientSum(ranks, wanted.gradients == "bfloat16")
        self._weight = (last - first) / settings.batch
        self._averaged = 0  # updates made at the last average
        self._losses: list[float] = []
        self._began = (0.0, 0.0)  # the clock and the seconds waited, at an update's beginning
        self._seconds = self._waited = 0.0  # of updates, since the last time that the leader asked

    @property
    def own(self) -> slice:
        """The streams of this rank."""
        return slice(*self.firsts[self.ranks.rank : self.ranks.rank + 2])

    def described(self) -> str:
        """The ranks in a line, for a person."""
        machines, streams = self.ranks.machines, np.diff(self.firsts)
        where = "one machine" if machines == 1 else f"{machines} machines"
        least, most = int(streams.min()), int(streams.max())
        each = f"{least}" if least == most else f"{least} or {most}"
        return f"{self.ranks.size} ranks on {where}, each with {each} of the {self.settings.batch} streams"

    # -- the beginning

    def share_out(self, run: Run) -> None:
        """The leader sends each rank its share of a run, and keeps its own."""
        streams, states = run.streams, run.states
        with self.ranks.together(Order.TRAIN):
            self._send_shares(run, streams, states)
            self.begin(run, streams, states)

    def _send_shares(self, run: Run, streams: Streams, states: list[Array]) -> None:
        for rank in range(1, self.ranks.size):
            part = slice(*self.firsts[rank : rank + 2])
            starts, stops = streams.starts[part], streams.stops[part]
            # With the token before, the first input, and the one before that, which says where documents begin.
            begin, end = max(0, int(starts[0]) - 2), int(stops[-1])
            if run.config.data.shuffle:  # any line may come into any stream
                begin, end = 0, len(streams.corpus)
            corpus = streams.corpus.part(begin, end)
            shapes = {name: value.shape for name, value in run.network.named.items()}
            given = Given(
                run.config, shapes, corpus, starts - begin, stops - begin, [state[part] for state in states], run.at,
                run.network.products.name,
            )  # fmt: skip
            self.ranks.send(given, rank)

    def begin(self, run: Run, streams: Streams, states: list[Array]) -> None:
        """This rank's share is cut out, and all begin with the leader's weights and moments."""
        if self.ranks.rank == 0:
            own = self.own
            streams = streams.part(own)
            states = [state[own].copy() for state in states]
        run.streams, run.states, run.group = streams, states, self
        self._averaged = run.at.updates
        self.take_weights(run)

    def _arrays(self, run: Run) -> list[Array]:
        """Weights and moments."""
        return [*run.network.named.values(), *run.optimizer.moments.values()]

    # -- updates

    def begin_update(self, run: Run) -> None:
        """The leader has all make an update."""
        self._began = time.perf_counter(), self.ranks.waited
        self.ranks.free = False
        if self.ranks.rank == 0:
            self.ranks.order(Order.UPDATE, run.at.reductions)

    def end_update(self, run: Run) -> None:
        """After an update; averages the weights where it is time."""
        if self.alone and run.at.updates - self._averaged >= self.settings.distributed.every:
            self.average_weights(run)
        began, waited = self._began
        self._seconds += time.perf_counter() - began
        self._waited += self.ranks.waited - waited
        self.ranks.free = True

    def give_up_update(self) -> None:
        """The loss or gradient is not finite: where it is the sum over the ranks, it is so at all of them."""
        self.ranks.free = self.sum is not None

    def keep_loss(self, loss: float) -> None:
        """The loss of a window of this rank's streams, until the leader asks for it."""
        self._losses.append(loss)

    # -- what the leader asks for

    def losses(self) -> list[float]:
        """The loss of every window since the last time, summed over the ranks in their order."""
        with self.ranks.together(Order.LOSSES):
            found = self.send_losses()
        return [sum(window) for window in zip(*found, strict=True)]

    def send_losses(self) -> list[list[float]]:
        """Every rank's losses, at the leader."""
        own, self._losses = self._losses, []
        return self.ranks.gathered(own)

    def speeds(self, run: Run) -> RankSpeeds:
        """What each rank has computed and waited since the last time."""
        with self.ranks.together(Order.SPEEDS):
            found = self.send_speed(run.network.threads)
        machines, threads, seconds, waited = zip(*found, strict=True)
        at = run.at
        return RankSpeeds(
            at.updates, at.epoch, at.tokens, at.seconds, machines, tuple(np.diff(self.firsts).tolist()), threads,
            seconds, waited,
        )  # fmt: skip

    def send_speed(self, threads: int) -> list[tuple[str, int, float, float]]:
        """Every rank's machine, threads, seconds of computing and of waiting, at the leader."""
        own = (self.ranks.machine, threads, self._seconds - self._waited, self._waited)
        self._seconds = self._waited = 0.0
        return self.ranks.gathered(own)

    def states(self, run: Run) -> list[Array]:
        """The states of all streams, each layer's B x S."""
        with self.ranks.together(Order.STATES):
            found = self.ranks.gathered(run.states)
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    def average(self, run: Run) -> None:
        """The leader has all average their weights, where they differ."""
        if self.alone and run.at.updates > self._averaged:
            with self.ranks.together(Order.AVERAGE):
                self.average_weights(run)

    def average_weights(self, run: Run) -> None:
        """The weights and moments of all ranks become their mean, weighted by their streams."""
        # Not those that are frozen: they are the same everywhere, and the sum would round them.
        arrays = [*run.optimizer.parameters.values(), *run.optimizer.moments.values()]
        for array in arrays:
            array *= array.dtype.type(self._weight)
        self.ranks.wait([self.ranks.begin_sum(array) for array in arrays])
        self._averaged = run.at.updates

    def same_weights(self, run: Run) -> None:
        """All take the leader's weights, those of the checkpoint.

        They are the same already where all have the same processor and number of threads. Elsewhere sums round
        differently, and this is where a run that goes on from the checkpoint begins.
        """
        with self.ranks.together(Order.WEIGHTS):
            self.take_weights(run)

    def take_weights(self, run: Run) -> None:
        """The weights and moments of all ranks become the leader's."""
        for array in self._arrays(run):
            self.ranks.broadcast(array)
