"""Views of the ranks that train together."""

from __future__ import annotations

from rnnlm.training.records import RankSpeeds
from rnnlm.work import Note


def ranks_view(speeds: RankSpeeds) -> Note:
    """How long the ranks have waited, the one that computes longest, and where it is."""
    times = zip(speeds.computing_seconds, speeds.waiting_seconds, strict=True)
    waiting = [round(100 * waited / max(1e-9, computed + waited)) for computed, waited in times]
    each = f"{min(waiting)}%" if min(waiting) == max(waiting) else f"{min(waiting)} to {max(waiting)}%"
    slowest = max(range(len(waiting)), key=lambda rank: speeds.computing_seconds[rank])
    which = f"rank {slowest} ({speeds.machines[slowest]})"
    return Note(f"{len(waiting)} ranks, waiting {each} of the time; the slowest is {which}")
