"""The watch over ranks: where one dies all end, and one line says which.

MPI has no word for a rank that has died: the others wait for it for ever, unless the program that started them sees
it. Every rank holds a TCP connection with the leader; the system closes it when the process ends, however it ends,
and lets it fail within half a minute when the machine or the network is gone.

    follower -> leader    ``end``, or ``fail MESSAGE``
    leader -> followers   ``end``: all has gone well; ``stop``: end at once and say nothing
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from rnnlm.errors import ResourceError, RnnlmError
from rnnlm.training.distributed.ranks import Ranks

_T = TypeVar("_T")

_SECONDS = 20  # to connect; and of silence after which a machine is taken for dead
# Of keepalive, in seconds but for the last: 8 + 4 * 3 of silence.
_KEEPALIVE = {"TCP_KEEPIDLE": 8, "TCP_KEEPINTVL": 4, "TCP_KEEPCNT": 3}


class Watch:
    """A thread a connection, which ends the process where the rank at its other end dies.

    Args:
        tell: called with an error that names that rank, by the one rank that is to say it.

    Raises:
        ResourceError: the leader cannot be reached.
    """

    def __init__(self, ranks: Ranks, tell: Callable[[RnnlmError], None]) -> None:
        self._ranks, self._tell = ranks, tell
        self._ended = threading.Event()
        self._names = ranks.all(f"rank {ranks.rank} ({ranks.machine}, process {os.getpid()})")
        self._others = self._accepted() if ranks.rank == 0 else {0: self._connected()}
        for rank, connection in self._others.items():
            threading.Thread(target=self._listen, args=(rank, connection), daemon=True).start()

    def _accepted(self) -> dict[int, socket.socket]:
        """The leader's connections, by rank."""
        with socket.create_server(("", 0)) as server:
            server.settimeout(_SECONDS)
            token = os.urandom(16).hex()
            self._ranks.all((self._ranks.machine, server.getsockname()[1], token))
            found: dict[int, socket.socket] = {}
            while len(found) < self._ranks.size - 1:
                connection, _ = _patiently(server.accept, "the ranks cannot reach rank 0 by TCP")
                connection.settimeout(_SECONDS)
                with suppress(OSError, ValueError):  # whoever else calls at this port
                    said, rank = _line(connection).split()
                    if said == token:
                        found[int(rank)] = _kept_alive(connection)
            return found

    def _connected(self) -> socket.socket:
        """A follower's connection."""
        machine, port, token = self._ranks.all(None)[0]
        host = "localhost" if machine == self._ranks.machine else machine
        connection = _patiently(
            lambda: socket.create_connection((host, port), _SECONDS), f"{self._names[self._ranks.rank]}: {host}"
        )
        connection.sendall(f"{token} {self._ranks.rank}\n".encode())
        return _kept_alive(connection)

    def _listen(self, rank: int, connection: socket.socket) -> None:
        try:
            said = _line(connection)
        except OSError:
            said = ""
        if said == "end" or self._ended.is_set():
            return
        if said != "stop":
            self._told_of(rank, said)
        os._exit(1)

    def _told_of(self, rank: int, said: str) -> None:
        """Say that a rank has died or failed; one of the ranks alone does it."""
        if self._ranks.rank > 1:
            return
        if not self._ended.is_set():
            self._ended.set()
            why = f": {said.removeprefix('fail ')}" if said.startswith("fail ") else " has died"
            found = f"{self._names[rank]}{why}; all ranks end, and --resume goes on from the last checkpoint"
            with suppress(Exception):
                self._tell(RnnlmError(found))
            self.stop_others()

    def stop_others(self) -> None:
        """The leader has the others end at once."""
        self._send("stop")

    def end(self) -> None:
        """All has gone well; the connections are not watched any more."""
        self._ended.set()
        self._send("end")

    def fail(self, message: str) -> None:
        """A follower has failed: the leader says why, and ends all."""
        self._send("fail " + message.replace("\n", " "))
        time.sleep(_SECONDS)
        os._exit(1)

    def _send(self, line: str) -> None:
        for connection in self._others.values():
            with suppress(OSError):
                connection.sendall(f"{line}\n".encode())


def _patiently(call: Callable[[], _T], what: str) -> _T:
    try:
        return call()
    except OSError as error:
        raise ResourceError(f"{what}: {error}; a rank that dies could not be seen") from None


def _kept_alive(connection: socket.socket) -> socket.socket:
    """The connection, which fails when the other machine is silent for `_SECONDS`."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def _line(connection: socket.socket) -> str:
    """A line that the other end sends; what there is of it where the connection ends."""
    data = b""
    while (byte := connection.recv(1)) not in (b"", b"\n"):
        data += byte
    return data.decode("utf-8", "replace")
