"""Verification of a file by size and hash; the errors of an address and of the disk."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

from rnnlm.corpora.catalogue.entries import Facts
from rnnlm.errors import ResourceError
from rnnlm.work import Note, Progress

Records = Generator[Progress | Note, None, None]

CHUNK = 1 << 18
NOT_KNOWN = "size and hash are not known for this file: not verified"


class SourceError(ResourceError):
    """One address did not give what was wanted; another one may."""


class UnreachableError(SourceError):
    """The server itself did not answer: its other addresses need not be tried."""


def check(path: Path, label: str, facts: Facts) -> Records:
    """Check a file's size and hash.

    Raises:
        SourceError: its size or hash is another; names both.
    """
    size = path.stat().st_size
    if facts.size is not None and size != facts.size:
        raise SourceError(f"{label}: has {size} bytes; expected {facts.size}")
    if facts.checksum is not None:
        algorithm, expected = facts.checksum
        found = yield from file_hash(path, algorithm)
        if found != expected:
            raise SourceError(f"{label}: has {algorithm} {found}; expected {expected}")


def file_hash(path: Path, algorithm: str) -> Generator[Progress | Note, None, str]:
    digest, done, total = new_hash(algorithm), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK * 4):
            digest.update(chunk)
            done += len(chunk)
            yield Progress("check", done, total, "bytes")
    return digest.hexdigest()


def new_hash(algorithm: str) -> Any:
    # Against damage, not against an attacker, where only md5 or sha1 was published.
    return hashlib.new(algorithm, usedforsecurity=False)


def check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"{folder}: needs {needed} bytes, the disk has {free} free; free space or choose another folder"
        )


def disk_error(path: Path, error: OSError) -> ResourceError:
    return ResourceError(f"{path}: cannot be written: {error.strerror or error}; choose another folder or free space")
