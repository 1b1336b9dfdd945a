"""The lock of a run's folder: one training at a time.

The system holds it for the process and lets it go when the process ends, however it ends. What the lock file says is
for the message alone.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rnnlm.errors import ModelError, ResourceError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"

# Of a file system without locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
# Who only asks whether a folder is locked holds its lock for an instant: seconds between tries, and how many.
_PAUSE, _TRIES = 0.01, 6


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made where it is missing. What was made is removed at the end, but for
    folders that files have come into.

    Raises:
        ModelError: another training holds it; ResourceError: the folder cannot be written.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _locked(folder)
    except OSError as error:
        raise ResourceError(f"{folder}: cannot be written: {error.strerror or error}; choose another place") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()
        file.close()
        for path in missing:
            with contextlib.suppress(OSError):  # no longer empty
                path.rmdir()


def is_held(folder: Path) -> bool:
    """Whether a training holds the lock of a folder; where the system or the file system has no locks, whether its
    file is there."""
    try:
        with open(folder / LOCK, encoding="utf-8") as file:
            # A shared lock, which several readers get at once; closing the file lets it go.
            return not _lock(file, shared=True)
    except BlockingIOError:
        return True
    except OSError:
        return False


def _locked(folder: Path) -> IO[str]:
    path = folder / LOCK
    tries = 0
    while True:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - closed by `held`
        try:
            _lock(file)
        except BlockingIOError:
            says = _says(file)
            file.close()
            tries += 1
            if tries < _TRIES:
                time.sleep(_PAUSE)
                continue
            raise ModelError(
                f"{folder}: another training runs there{says}; wait for its end, or take --run DIR"
            ) from None
        except BaseException:
            file.close()
            raise
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                break
        file.close()  # its holder has removed it since: there is a new one to lock
    file.truncate(0)
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    file.write(json.dumps({"process": os.getpid(), "host": socket.gethostname(), "start": started}))
    file.flush()
    return file


def _lock(file: IO[str], shared: bool = False) -> bool:
    """Lock a file or raise BlockingIOError; false where the system or the file system has no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def _says(file: IO[str]) -> str:
    """Who holds the lock, as far as the file says."""
    try:
        file.seek(0)
        found: Any = json.load(file)
        return f" (process {found['process']} on {found['host']}, since {found['start']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
