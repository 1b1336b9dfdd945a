"""The user's cache: folders for what can be made again (compiled code, encoded texts)."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import os
import shutil
import tempfile
import time
from pathlib import Path

_KEEP_DAYS = 30
_PACKAGE = Path(__file__).resolve().parent


@functools.cache
def folder(name: str) -> Path | None:
    """The folder `name` ("texts", "compiled") of the user's cache, made where it is missing.

    Where the user's cache cannot be written, one in the system's temporary folder takes its place; None where that
    cannot be written either, or belongs to somebody else.
    """
    for find in (_in_the_users_cache, _in_the_temporary_folder):
        # RuntimeError: a user without a home.
        with contextlib.suppress(OSError, RuntimeError):
            path = find(name)
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if _is_private(path) and is_writable(path):
                return path
    return None


def is_writable(path: Path) -> bool:
    """Whether a file can be made in this folder."""
    try:
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


def prune(root: Path, most_bytes: float = math.inf) -> None:
    """Remove the entries of such a folder that nobody has used for a month, and the oldest of the others until
    they hold no more than `most_bytes`. Whoever uses one says so by `touch`."""
    found = []
    for path in _entries(root):
        with contextlib.suppress(OSError):  # another process prunes at the same time
            # Counting takes long, and says nothing where any size will do.
            size = _size(path) if math.isfinite(most_bytes) else 0
            found.append((path.stat().st_mtime, size, path))
    kept = 0
    for used, size, path in sorted(found, reverse=True):
        kept += size
        if kept > most_bytes or time.time() - used > _KEEP_DAYS * 86400:
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def touch(path: Path) -> None:
    """Note that an entry of the cache is used now."""
    with contextlib.suppress(OSError):
        os.utime(path)


@functools.cache
def source_hash(*packages: str) -> str:
    """The first 16 hexadecimal digits of sha256 over all files of these packages of ours, by name."""
    digest = hashlib.sha256()
    for name in packages:
        for path in sorted((_PACKAGE / name).rglob("*.py")):
            digest.update(str(path.relative_to(_PACKAGE)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _in_the_users_cache(name: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rnnlm" / name


def _in_the_temporary_folder(name: str) -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"rnnlm-{user}-{name}"


def _is_private(path: Path) -> bool:
    """Whether nobody else can put files there. Compiled code is run, and texts become models: what another user
    left there would act in this user's name."""
    if not hasattr(os, "getuid"):
        return True
    found = path.lstat()
    return found.st_uid == os.getuid() and not found.st_mode & 0o022


def _entries(root: Path) -> list[Path]:
    try:
        return list(root.iterdir())
    except OSError:
        return []


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
