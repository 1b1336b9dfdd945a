"""Processes of a run that goes on: whether its ranks and threads are others than those before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rnnlm.training.records import Resumed
from rnnlm.training.run import Run


def change(run: Run, earlier: Iterable[dict[str, Any]]) -> Resumed | None:
    """The record of other ranks or threads than a run had; None where they are the same, or nobody knows.

    Args:
        earlier: the records of its log, of which the last "start" or "resumed" says what it had.
    """
    told = [record for record in earlier if record.get("event") in ("start", "resumed")]
    match told[-1:]:
        case [{"ranks": int(ranks), "threads": int(threads)}]:
            at = run.at
            now = Resumed(at.updates, at.epoch, at.tokens, at.seconds, run.ranks, run.network.threads, ranks, threads)
            return None if (now.ranks, now.threads) == (ranks, threads) else now
    return None


def described(found: Resumed, batch: int) -> str:
    """The record in a line, for a person. batch: the streams of the run."""
    now, before = (
        _processes(*pair) for pair in ((found.ranks, found.threads), (found.ranks_before, found.threads_before))
    )
    anew = "" if found.ranks == found.ranks_before else ", shared out anew"
    return (
        f"{now} instead of {before}: the {batch:,} streams go on from the same position{anew}; sums are rounded in "
        "another order"
    )


def _processes(ranks: int, threads: int) -> str:
    each = f"{threads:,} thread{'s' * (threads > 1)}"
    return each if ranks == 1 else f"{ranks:,} ranks of {each}"
