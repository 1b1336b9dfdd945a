"""Signals as a flag that a loop asks for, so that it ends where its state is whole."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOPPING = "stopping after this update; once more to stop now"

# Ctrl-C, the wish of the system or of a user, a terminal that is closed.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def interrupts(tell: Callable[[str], None] = lambda text: None) -> Iterator[Callable[[], bool]]:
    """Inside the block SIGINT, SIGTERM and SIGHUP only make the returned function say True; a second one interrupts.

    Args:
        tell: called with a line as soon as the first one arrives, in a thread of its own: Python's own handler runs
            only when a kernel, or the compilation of one, has come to its end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # signals belong to the main thread
        return
    asked = threading.Event()
    heard = handled = 0  # by the thread, by Python's handler: several that arrive during one kernel are handled once

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal handled
        handled += 1
        asked.set()
        if max(handled, heard) > 1:
            raise KeyboardInterrupt

    def listen() -> None:
        nonlocal heard
        while arrived := reader.recv(64):
            first = heard == 0
            heard += sum(number in before for number in arrived)
            if first and heard:
                asked.set()
                with suppress(Exception):  # such as a terminal that is gone: the loop still stops
                    tell(STOPPING)

    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    # `nohup` has the program outlive its terminal.
    numbers = [number for number in numbers if (number.name, signal.getsignal(number)) != ("SIGHUP", signal.SIG_IGN)]
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = {number: signal.signal(number, ask) for number in numbers}
    listener = threading.Thread(target=listen, name="rnnlm-signals", daemon=True)
    listener.start()
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield asked.is_set
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.close()
        listener.join()
        reader.close()
