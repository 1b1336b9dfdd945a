"""A rank that follows the leader's orders, and trains its share of a run.

It reads, writes and prints nothing.
"""

from __future__ import annotations

import numpy as np

from rnnlm.corpora.prepare import Corpora
from rnnlm.errors import NotFiniteError
from rnnlm.kernels.matmul.choice import choose
from rnnlm.network import build
from rnnlm.network.parameters import unflatten
from rnnlm.ranks.ranks import Order, Ranks
from rnnlm.text.streams import Streams
from rnnlm.training.distributed.group import Given, Group
from rnnlm.training.optimizers.optimizer import Optimizer
from rnnlm.training.run import Run, shuffled


def follow(ranks: Ranks) -> None:
    """Train one share of whatever the leader trains, until it ends.

    Raises:
        RnnlmError: this rank cannot do what it is to do; the others still wait for it.
    """
    while (order := ranks.next_order()[0]) is not Order.END:
        assert order is Order.TRAIN
        if _follow(ranks) is Order.END:
            return


def _follow(ranks: Ranks) -> Order:
    """One run; returns the order that ended it."""
    run, group = _share(ranks, ranks.receive(0))
    while True:
        order, value = ranks.next_order()
        if order is Order.UPDATE:
            run.at.reductions = value
            _update(run, group)
        elif order is Order.LOSSES:
            group.send_losses()
        elif order is Order.SPEEDS:
            group.send_speed(run.network.threads)
        elif order is Order.STATES:
            ranks.gathered(run.states)
        elif order is Order.AVERAGE:
            group.average_weights(run)
        elif order is Order.WEIGHTS:
            group.take_weights(run)
        else:
            return order


def _update(run: Run, group: Group) -> None:
    try:
        run.update()
    except NotFiniteError:
        if group.sum is None:
            raise
        # The sums of losses and gradients are the same at the leader, which says so and ends the run.
    run.end_epoch()


def _share(ranks: Ranks, given: Given) -> tuple[Run, Group]:
    """This rank's share of a run, as the leader has sent it."""
    config, dtype = given.config, np.dtype(given.config.train.dtype)
    parameters = unflatten({name: np.zeros(shape, dtype) for name, shape in given.shapes.items()})
    products = choose(config.train.precision, given.products)
    threads, words = ranks.threads_for(config.train.threads), given.corpus.vocabulary
    network = build.build(config, parameters, threads, products=products, words=words)
    # The leader alone has the average of the weights, which no update reads.
    config = config.model_copy(update={"train": config.train.model_copy(update={"average": None})})
    optimizer = Optimizer(config.train, network.named)
    optimizer.updates = given.position.updates
    streams = Streams(given.corpus, given.starts, given.stops, config.state, shuffled(config, given.corpus))
    corpora = Corpora(given.corpus, None, None)
    run = Run(config, {}, corpora, given.corpus.vocabulary, None, network, optimizer, streams)
    run.at = given.position
    group = Group(ranks, config.train)
    group.begin(run, streams, given.states)
    return run, group
