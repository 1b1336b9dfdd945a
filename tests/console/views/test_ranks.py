"""What is shown of ranks that train together."""

from __future__ import annotations

from rnnlm.console.views.ranks import ranks_view
from rnnlm.training.records import RankSpeeds


def shown(computing: tuple[float, ...], waiting: tuple[float, ...]) -> str:
    ranks = len(computing)
    machines = tuple(f"node{rank}" for rank in range(ranks))
    return ranks_view(RankSpeeds(9, 1, 90, 4.0, machines, (2,) * ranks, (1,) * ranks, computing, waiting)).text


def test_the_slowest_rank_is_named() -> None:
    found = shown((3.0, 3.6, 2.0), (1.0, 0.4, 2.0))
    assert found == "3 ranks, waiting 10 to 50% of the time; the slowest is rank 1 (node1)"
    assert shown((1.0, 1.0), (1.0, 1.0)) == "2 ranks, waiting 50% of the time; the slowest is rank 0 (node0)"
    assert "waiting 0%" in shown((0.0, 0.0), (0.0, 0.0))
