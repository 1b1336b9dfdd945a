"""Claims on files of compiled code: what one process compiles the others wait for, and then read.

A claim is a lock of the system on a file beside, so it ends with its process, however that ends. Without it, where
the system or the file system has no locks, each process compiles for itself.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Seconds between two looks, and after how many nobody waits any more: the other process may have been stopped.
_PAUSE, _PATIENCE = 0.02, 30.0

_held: dict[Path, IO[bytes]] = {}


def claim(path: Path) -> None:
    """Claim a file that is to be written, or wait until nobody else does."""
    if fcntl is None or path in _held:
        return
    end = time.monotonic() + _PATIENCE
    try:
        file = open(_beside(path), "wb")  # noqa: SIM115 - closed by `release`
    except OSError:
        return
    while time.monotonic() < end:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE)
        except OSError:
            break
        else:
            _held[path] = file
            return
    file.close()


def release(path: Path) -> None:
    """Give up a claim, where there is one: the file is there, or will not be."""
    file = _held.pop(path, None)
    if file is not None:
        with suppress(OSError):
            _beside(path).unlink()
        file.close()


def _beside(path: Path) -> Path:
    return path.with_suffix(".claim")
