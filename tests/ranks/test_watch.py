"""The watch over ranks, without MPI: what it says and to whom, as ranks fail, die and stop all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from rnnlm.errors import RnnlmError
from rnnlm.ranks import watch


class Watching:
    """A watch over three ranks, in a thread. ranks: their ends of the connections; told: the lines that it says."""

    def __init__(self) -> None:
        pairs = [socket.socketpair() for _ in range(3)]
        self.ranks = [ours for ours, _ in pairs]
        self.told: list[str] = []
        self.theirs = [theirs for _, theirs in pairs]
        names = {theirs: f"rank {rank}" for rank, theirs in enumerate(self.theirs)}
        self.thread = threading.Thread(target=watch._watch, args=(names, self._tell, "resume"))
        for ours in self.ranks:
            ours.settimeout(5)

    def _tell(self, error: RnnlmError) -> None:
        self.told.append(str(error))

    def send(self, rank: int, line: str) -> None:
        self.ranks[rank].sendall(f"{line}\n".encode())

    def heard(self, rank: int) -> str:
        return watch._line(self.ranks[rank])


@pytest.fixture
def watching() -> Iterator[Watching]:
    made = Watching()
    yield made
    if made.thread.ident is None:
        made.thread.start()
    for ours in made.ranks:
        ours.close()
    made.thread.join(5)
    for theirs in made.theirs:
        theirs.close()
    assert not made.thread.is_alive()


def test_ranks_that_leave_well_are_not_told_of(watching: Watching) -> None:
    watching.thread.start()
    for rank in range(3):
        watching.send(rank, "end")
    watching.thread.join(5)
    assert watching.told == []


def test_a_rank_that_dies_ends_all(watching: Watching) -> None:
    watching.thread.start()
    watching.send(1, "end")
    watching.ranks[2].close()
    assert watching.heard(0) == "said"
    assert watching.told == ["rank 2 has died; all ranks end; resume"]


def test_one_reason_is_said_where_two_ranks_have_one(watching: Watching) -> None:
    """Both are there before the watch reads. Either rank 1's is said and rank 0 ends without a word, or rank 0 may
    say its own and rank 1's is not."""
    watching.send(1, "fail no memory")
    watching.send(0, "stop")
    watching.thread.start()
    first = watching.heard(0)
    if first == "say":
        watching.ranks[0].close()
    assert watching.heard(2) == "said"
    assert (first, watching.told) in [("said", ["rank 1: no memory; all ranks end; resume"]), ("say", [])]


def test_a_rank_that_stops_all_says_why_before_others_end(watching: Watching) -> None:
    watching.thread.start()
    watching.send(0, "stop")
    assert watching.heard(0) == "say"
    watching.ranks[1].settimeout(0.2)
    with pytest.raises(TimeoutError):
        watching.heard(1)
    watching.ranks[0].close()
    assert [watching.heard(rank) for rank in (1, 2)] == ["said", "said"]
    assert watching.told == []
