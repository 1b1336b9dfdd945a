"""The watch over ranks: where one dies all end, and one line says which.

MPI has no word for a rank that has died: the others wait for it for ever, unless the program that started them sees
it; and that program kills them before one of them could say anything. So the leader forks a process that watches.
Every rank holds a TCP connection with it; the system closes it when the rank ends, however it ends, and lets it fail
within half a minute when a machine or the network is gone.

    rank -> watch     ``end``: it leaves well; ``fail MESSAGE``: all must end, for this reason; ``stop``: all must
                      end, and the rank says why itself
    watch -> rank     ``said``, then nothing more: the rank ends at once; ``say``, after ``stop``: it says why and
                      ends, the others after it
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from rnnlm.errors import ResourceError, RnnlmError
from rnnlm.ranks.ranks import Ranks

# Seconds of silence after which a machine is taken for gone: 8 + 4 * 3.
_SECONDS = 20
_KEEPALIVE = {"TCP_KEEPIDLE": 8, "TCP_KEEPINTVL": 4, "TCP_KEEPCNT": 3}

Tell = Callable[[RnnlmError], None]


def start(ranks: int, tell: Tell, advice: str) -> tuple[int, str]:
    """The leader starts the watch over so many ranks, before MPI is there; returns its port and a password.

    Args:
        tell: called, in the process that watches, with an error that names the rank. advice: what to do then.
    """
    server, password, leader = socket.create_server(("", 0)), os.urandom(16).hex(), os.getpid()
    if os.fork() == 0:
        try:
            os.setsid()  # what kills the ranks' process groups does not kill it
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
            with suppress(OSError):
                _watch(_accepted(server, ranks, password, leader), tell, advice)
        finally:
            os._exit(0)
    port = server.getsockname()[1]
    server.close()
    return port, password


def _accepted(server: socket.socket, ranks: int, password: str, leader: int) -> dict[socket.socket, str]:
    """The connections of all ranks, with their names; ends the process where the leader has died before."""
    server.settimeout(1)
    found: dict[socket.socket, str] = {}
    while len(found) < ranks:
        if os.getppid() != leader:  # it has said why
            for connection in found:
                _send(connection, "said")
            os._exit(0)
        with suppress(TimeoutError, ValueError):  # whoever else calls at this port
            connection, _ = server.accept()
            connection.settimeout(_SECONDS)
            said, name = _line(connection).split(" ", 1)
            if said == password:
                found[_kept_alive(connection)] = name
    return found


def _watch(names: dict[socket.socket, str], tell: Tell, advice: str) -> None:
    """Until all ranks have left, or one has not left well. names: of the ranks, by their connections."""
    with selectors.DefaultSelector() as selector:
        for connection in names:
            selector.register(connection, selectors.EVENT_READ, connection)
        while names:
            # Linux names them in the order in which they came: the first is the one that died by itself.
            for key, _ in selector.select():
                connection, said = key.data, ""
                with suppress(OSError):
                    said = _line(connection)
                if said != "end":
                    if said == "stop":
                        _let_say(connection)
                    else:
                        why = f": {said.removeprefix('fail ')}" if said.startswith("fail ") else " has died"
                        tell(_error(names[connection] + why, advice))
                    for each in names:
                        _send(each, "said")
                    return
                selector.unregister(connection)
                del names[connection]


def _let_say(connection: socket.socket) -> None:
    """Until a rank has said why it stops all, and ended; mpiexec may kill it where another one ends first."""
    _send(connection, "say")
    connection.settimeout(_SECONDS)
    with suppress(OSError):
        _line(connection)


def _error(found: str, advice: str) -> RnnlmError:
    return RnnlmError("; ".join(filter(None, [found, "all ranks end", advice])))


class Watched:
    """A rank's connection with the watch, and a thread that ends the process where it is to end.

    Args:
        started: what `start` has returned, at the leader; None elsewhere.

    Raises:
        ResourceError: the watch cannot be reached.
    """

    def __init__(self, ranks: Ranks, started: tuple[int, str] | None, tell: Tell, advice: str) -> None:
        self._tell, self._advice, self._ended = tell, advice, False
        self._stops, self._may_say = False, threading.Event()
        machine, (port, password) = ranks.all((ranks.machine, started))[0]
        self._leader = machine
        self._says_that_the_watch_is_gone = ranks.rank == 1
        host = "localhost" if machine == ranks.machine else machine
        try:
            self._connection = _kept_alive(socket.create_connection((host, port), _SECONDS))
        except OSError as error:
            raise ResourceError(
                f"rank {ranks.rank} ({ranks.machine}): cannot reach {host} at TCP port {port}: {error.strerror}; "
                "a rank that dies would not be seen"
            ) from None
        _send(self._connection, f"{password} rank {ranks.rank} ({ranks.machine}, process {os.getpid()})")
        threading.Thread(target=self._listen, daemon=True, name="rnnlm-watch").start()

    def _listen(self) -> None:
        said = ""
        with suppress(OSError):
            said = _line(self._connection)
        if self._ended:
            return
        if self._stops and said != "said":
            self._may_say.set()
            return
        if said != "said" and self._says_that_the_watch_is_gone:
            with suppress(Exception):
                self._tell(_error(f"{self._leader}, the machine of rank 0, does not answer", self._advice))
        os._exit(1)

    def end(self) -> None:
        """This rank leaves well."""
        self._ended = True
        _send(self._connection, "end")

    def fail(self, message: str) -> None:
        """This rank has failed: the watch says why and ends all."""
        _send(self._connection, "fail " + message.replace("\n", " "))
        time.sleep(_SECONDS)
        os._exit(1)

    def stop_others(self) -> None:
        """All end. This rank says why when this has returned; where another one has said something, it ends here."""
        self._stops = True
        _send(self._connection, "stop")
        self._may_say.wait(_SECONDS)


def _kept_alive(connection: socket.socket) -> socket.socket:
    """The connection, which fails when the other machine is silent for `_SECONDS`."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def _send(connection: socket.socket, line: str) -> None:
    with suppress(OSError):
        connection.sendall(f"{line}\n".encode())


def _line(connection: socket.socket) -> str:
    """A line that the other end sends; what there is of it where the connection ends."""
    data = b""
    while (byte := connection.recv(1)) not in (b"", b"\n"):
        data += byte
    return data.decode("utf-8", "replace")
