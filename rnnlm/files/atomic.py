"""Atomic file writes: a file is there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rnnlm.errors import ResourceError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Atomic write: a binary file that stands under `path` only when the block ends without an error.

    It is written beside its place, flushed to the disk and renamed over it. A link stays one; what is no
    file (``/dev/null``, a pipe) is written to and not replaced.

    Raises:
        ResourceError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        with _told(path), open(path, "wb") as file:
            yield file
        return
    path = Path(os.path.realpath(path))
    beside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(beside, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
            _sync_folder(path.parent)
    finally:
        with suppress(OSError):  # renamed already, or never made
            beside.unlink()


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


def write_text(path: str | Path, text: str) -> None:
    """Write a text in UTF-8, atomically.

    Raises:
        ResourceError: as `atomic_write`.
    """
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))
