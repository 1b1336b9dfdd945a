"""Sharing out work of independent parts among ranks: the results come back in the parts' order.

Who calls it needs to know nothing of ranks: where there are none, `Workers` computes in this process. In each round
the leader sends every rank a part, does one itself, and gathers the results, so what is in memory does not grow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise
from typing import Any, Generic, TypeVar

import numpy as np

from rnnlm.errors import RnnlmError
from rnnlm.ranks.ranks import Order, Ranks

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


class Workers(Generic[_Part, _Result]):
    """All ranks, which do the same work on different parts.

    Args:
        work: from a part to its result. It is sent to each rank once, so it must be one that can be pickled, with all
            that it needs: a function of a module, or ``functools.partial`` of one. So must parts and results.
        ranks: of which this is the leader; None: this process alone.

    Attributes:
        count: how many there are, 1 without ranks.
    """

    def __init__(self, work: Callable[[_Part], _Result], ranks: Ranks | None = None) -> None:
        self._work, self._ranks = work, ranks
        self.count = 1 if ranks is None else ranks.size
        if ranks is not None:
            with ranks.together(Order.WORK):
                for rank in range(1, ranks.size):
                    ranks.send(work, rank)

    def results(self, parts: Sequence[_Part]) -> Iterator[_Result]:
        """The result of each part, in their order.

        Raises:
            RnnlmError: the work on a part raised it; after the results of the parts before, as in one process.
        """
        if self._ranks is None:
            yield from map(self._work, parts)
            return
        for first in range(0, len(parts), self.count):
            for result in self._round(self._ranks, parts[first : first + self.count]):
                if isinstance(result, RnnlmError):
                    raise result
                yield result

    def _round(self, ranks: Ranks, parts: Sequence[_Part]) -> list[_Result | RnnlmError]:
        """The results of at most a part for each rank."""
        with ranks.together(Order.PARTS):
            others = range(1, ranks.size)
            for rank in others:
                ranks.send(parts[rank : rank + 1], rank)
            own = _results(self._work, parts[:1])
            return [*own, *chain.from_iterable(ranks.receive(rank) for rank in others)]


def evenly(parts: Sequence[_Part], sizes: Sequence[int], count: int) -> list[Sequence[_Part]]:
    """At most `count` stretches of a sequence, none empty, of about the same size. sizes: of its elements, 1 or
    more."""
    ends = np.cumsum(sizes)
    inner = 1 + np.searchsorted(ends, ends[-1] * np.arange(1, count) / count)
    bounds = np.unique([0, *inner, len(parts)]).tolist()
    return [parts[first:stop] for first, stop in pairwise(bounds)]


def work(ranks: Ranks) -> None:
    """Do one rank's part of whatever the leader's `Workers` share out, until it ends.

    Raises:
        Exception: one that the work does not foresee; the leader still waits for this rank.
    """
    own: Any = None
    while (order := ranks.next_order()[0]) is not Order.END:
        if order is Order.WORK:
            own = ranks.receive(0)
        else:
            assert order is Order.PARTS
            ranks.send(_results(own, ranks.receive(0)), 0)


def _results(work: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
    """The result of each part, or the error in its place."""
    found = []
    for part in parts:
        try:
            found.append(work(part))
        except RnnlmError as error:
            found.append(error)
    return found
