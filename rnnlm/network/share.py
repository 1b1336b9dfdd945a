"""The share of a batch's streams that one of several processes has."""

from __future__ import annotations

from typing import NamedTuple


class Share(NamedTuple):
    """Streams [first, first + B) of a larger batch; B is the number of streams of the window that has the share."""

    first: int
    batch: int  # streams of the whole batch
    averaged: int  # streams that the objective is averaged over: those of the whole batch, or B
