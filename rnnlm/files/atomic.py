"""Atomic file writes: a file is there whole or not at all."""

from __future__ import annotations

import os
import platform
import re
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rnnlm.errors import ResourceError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Atomic write: a binary file that stands under `path` only when the block ends without an error.

    It is written beside its place, flushed to the disk and renamed over it. A link stays one; what is no
    file (``/dev/null``, a pipe) is written to and not replaced. What a killed process left there of earlier writes is
    removed.

    Raises:
        ResourceError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        with _told(path), open(path, "wb") as file:
            yield file
        return
    path = Path(os.path.realpath(path))
    beside = path.with_name(f".{path.name}.{os.getpid()}-{_host()}{secrets.token_hex(4)}.tmp")
    try:
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(path)
            with open(beside, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
            _sync_folder(path.parent)
    finally:
        with suppress(OSError):  # renamed already, or never made
            beside.unlink()


def _remove_leftovers(path: Path) -> None:
    """Remove what writes of `path` by processes of this host left behind that have died since."""
    ours = re.compile(rf"\.{re.escape(path.name)}\.([0-9]{{1,9}})-{_host()}[0-9a-f]{{8}}\.tmp")
    with suppress(OSError):  # somebody else removes it, or may
        for name in os.listdir(path.parent):
            found = ours.fullmatch(name)
            if found and not _is_alive(int(found[1])):
                (path.parent / name).unlink()


def _host() -> str:
    """This host in eight hexadecimal digits: on a network file system a process id says nothing without it."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _is_alive(process: int) -> bool:
    """Whether there is a process of this id; True where the system cannot be asked without ending it."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """An OSError becomes an error in one line."""
    try:
        yield
    except OSError as error:
        raise ResourceError(
            f"{path}: cannot be written: {error.strerror or error}; choose another place or free space"
        ) from None


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut; systems where a folder cannot be opened do without."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a binary file whole."""
    with atomic_write(path) as file:
        file.write(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a text in UTF-8, atomically.

    Raises:
        ResourceError: as `atomic_write`.
    """
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))
